import { describe, expect, it } from "vitest";
import type { AppendedRange, EventLog } from "@datatrace/core";
import { expectCode, newTopic, sharedLog, textRecord, unique } from "./event-log-case.ts";
import type { CreateEventLog } from "./event-log-harness.ts";
import { Probe } from "./event-log-probe.ts";
import { waitFor } from "./wait-for.ts";

export function describeRetention(create: CreateEventLog): void {
  describe("retention", () => {
    const shared = sharedLog(create);

    /** Lets a group apply everything below an address. */
    async function applied(log: EventLog, group: string, range: AppendedRange): Promise<void> {
      await using probe = await Probe.open(log, group, [range.topic], () => null);
      await probe.until(() => probe.held.has(`${range.topic}/${range.partition}`), "the partition");
      await probe.reader.commit(range, range.last + 1n);
    }

    async function first(log: EventLog, topic: string): Promise<string | null | undefined> {
      await using probe = await Probe.open(log, unique("observer"), [topic]);
      await probe.until(() => probe.seen.length > 0, "a record");
      return probe.seen[0]?.value;
    }

    it("keeps a record until every group that has its topic has applied it", async () => {
      const { log, harness } = shared;
      const topic = await newTopic(log);
      const unread = await newTopic(log);
      const [quick, slow] = [unique("quick"), unique("slow")];
      await log.registerGroup(quick, [topic.name]);
      await log.registerGroup(slow, [topic.name]);
      await using writer = await log.openWriter(unique("writer"));
      const ranges: AppendedRange[] = [];
      for (const value of ["1", "2", "3"]) {
        const [range] = await writer.append([textRecord(topic.name, value)]);
        if (range !== undefined) ranges.push(range);
        await writer.append([textRecord(unread.name, value)]);
      }
      const [one, two, three] = ranges;
      if (one === undefined || two === undefined || three === undefined) throw new Error("nothing was appended");
      const earliest = async (): Promise<bigint> => (await log.bounds(one)).earliest;

      await applied(log, quick, three);
      await harness.reclaim(log);
      expect(await earliest()).toBeLessThanOrEqual(one.first);
      await applied(log, slow, one);
      await harness.reclaim(log);
      expect(await earliest()).toBeGreaterThan(one.last);
      expect(await earliest()).toBeLessThanOrEqual(two.first);
      await log.removeGroup(slow);
      await harness.reclaim(log);
      expect(await earliest()).toBeGreaterThan(three.last);
      const { earliest: untouched } = await log.bounds({ topic: unread.name, partition: 0 });
      expect(untouched).toBe(0n);
      expect(await first(log, unread.name)).toBe("1");
    });

    it("keeps the rest of an append of which a group has applied a part", async () => {
      const { log, harness } = shared;
      const topic = await newTopic(log);
      const place = { topic: topic.name, partition: 0 };
      const group = unique("group");
      await using writer = await log.openWriter(unique("writer"));
      await writer.append([textRecord(topic.name, "1")]);
      await using probe = await Probe.open(log, group, [topic.name]);
      await probe.through(await writer.append(["2", "3", "4"].map((value) => textRecord(topic.name, value))));
      const third = probe.seen[2]?.offset ?? 0n;
      await probe.reader.commit(place, third);
      await harness.reclaim(log);
      expect((await log.bounds(place)).earliest).toBeLessThanOrEqual(third);
      probe.seek(place, third);
      await probe.until(() => probe.seen.length === 6, "the rest");
      expect(probe.values()).toEqual(["1", "2", "3", "4", "3", "4"]);
    });

    it("keeps everything for a group that has applied nothing yet", async () => {
      const { log, harness } = shared;
      const topic = await newTopic(log);
      await log.registerGroup(unique("new"), [topic.name]);
      await using writer = await log.openWriter(unique("writer"));
      const [range] = await writer.append([textRecord(topic.name, "1")]);
      if (range === undefined) throw new Error("nothing was appended");
      await applied(log, unique("quick"), range);
      await harness.reclaim(log);
      expect(await first(log, topic.name)).toBe("1");
    });

    it("is about the topics that are registered last", async () => {
      const { log, harness } = shared;
      const kept = await newTopic(log);
      const given = await newTopic(log);
      const [group, quick] = [unique("group"), unique("quick")];
      await log.registerGroup(group, [kept.name, given.name]);
      await using writer = await log.openWriter(unique("writer"));
      for (const topic of [kept, given]) {
        const [range] = await writer.append([textRecord(topic.name, "1")]);
        if (range !== undefined) await applied(log, quick, range);
      }
      await log.registerGroup(quick, [kept.name, given.name]);
      await log.registerGroup(group, [kept.name]);
      await harness.reclaim(log);
      expect((await log.bounds({ topic: kept.name, partition: 0 })).earliest).toBe(0n);
      expect((await log.bounds({ topic: given.name, partition: 0 })).earliest).toBeGreaterThan(0n);
    });

    it("goes on by itself", async () => {
      const { log } = shared;
      const topic = await newTopic(log);
      const group = unique("group");
      await using writer = await log.openWriter(unique("writer"));
      const [range] = await writer.append([textRecord(topic.name, "1")]);
      if (range === undefined) throw new Error("nothing was appended");
      await log.registerGroup(group, [topic.name]);
      await applied(log, group, range);
      const freed = async (): Promise<boolean> => (await log.bounds(range)).earliest > range.last;
      await waitFor(freed, { deadlineMs: 30_000, what: "the deletion of an applied record" });
      const [later] = await writer.append([textRecord(topic.name, "2")]);
      expect(later?.first).toBeGreaterThan(range.last);
    });
  });

  describe("a full log", () => {
    const maxSizeBytes = 8 * 1024 * 1024;

    it("refuses appends with log.full, deletes nothing, and goes on when space is free again", async () => {
      await using harness = await create({ maxSizeBytes });
      await using log = await harness.open();
      const topic = await newTopic(log);
      const state = await newTopic(log, "compact");
      const group = unique("group");
      await log.registerGroup(group, [topic.name]);
      await using writer = await log.openWriter(unique("writer"));
      const large = "x".repeat(100_000);
      const appended: AppendedRange[] = [];
      const fill = async (): Promise<void> => {
        for (let round = 0; round < 1000; round += 1) {
          const ranges = await writer.append([
            textRecord(topic.name, `${appended.length} ${large}`),
            textRecord(state.name, String(appended.length), "position"),
          ]);
          appended.push(...ranges.filter((range) => range.topic === topic.name));
        }
      };
      const position = async (): Promise<string> =>
        Buffer.from((await log.latestByKey(state.name))[0]?.value ?? []).toString();

      await expectCode(fill(), "log.full");
      const held = appended.length;
      expect(held).toBeGreaterThan(20);
      await expectCode(fill(), "log.full");
      expect(appended).toHaveLength(held);
      // The append that failed has moved nothing: the position still belongs to the last one that was made.
      expect(await position()).toBe(String(held - 1));

      // What a sink and a capture need to get out of it still works: state, groups, schemas' topics, reading.
      await writer.append([textRecord(state.name, "still works", "other")]);
      await newTopic(log);
      await using probe = await Probe.open(log, group, [topic.name]);
      await probe.until(() => probe.seen.length === held, "every record");
      expect(probe.seen.map((record) => record.value?.split(" ")[0])).toEqual(
        appended.map((_, index) => String(index)),
      );

      const middle = appended[held >> 1];
      if (middle === undefined) throw new Error("nothing was appended");
      await probe.reader.commit(middle, middle.last + 1n);
      await harness.reclaim(log);
      await expectCode(fill(), "log.full");
      expect(appended.length).toBeGreaterThan(held + 10);
      await probe.until(() => probe.seen.length === appended.length, "the new records");
    });

    it("can be emptied and filled again many times", async () => {
      await using harness = await create({ maxSizeBytes });
      await using log = await harness.open();
      const topic = await newTopic(log);
      const group = unique("group");
      await using writer = await log.openWriter(unique("writer"));
      await using probe = await Probe.open(log, group, [topic.name]);
      const counts: number[] = [];
      for (let round = 0; round < 5; round += 1) {
        let count = 0;
        const fill = async (): Promise<void> => {
          for (; count < 1000; count += 1) await writer.append([textRecord(topic.name, "y".repeat(50_000))]);
        };
        await expectCode(fill(), "log.full");
        counts.push(count);
        const before = counts.reduce((sum, one) => sum + one, 0);
        await probe.until(() => probe.seen.length === before, "every record");
        const place = { topic: topic.name, partition: 0 };
        await probe.reader.commit(place, probe.nextOf(place) ?? 0n);
        await harness.reclaim(log);
      }
      // Space that was freed is free: a later round is not smaller than the second one was.
      expect(Math.min(...counts.slice(1))).toBeGreaterThanOrEqual((counts[1] ?? 0) - 2);
    });
  });
}
