import { DataTraceError } from "@datatrace/core";
import { describe, expect, it } from "vitest";
import { expectCode, newTopic, sharedLog, textRecord, unique } from "./event-log-case.ts";
import type { CreateEventLog } from "./event-log-harness.ts";
import { EventLogProcess } from "./event-log-process.ts";
import { nameOf, patienceMs, Probe } from "./event-log-probe.ts";
import { waitFor } from "./wait-for.ts";

export function describeGroups(create: CreateEventLog): void {
  describe("groups", () => {
    const shared = sharedLog(create);

    function allOf(topic: string, partitions: number): string[] {
      return Array.from({ length: partitions }, (_, partition) => nameOf({ topic, partition }));
    }

    /** Lets all members work until the condition holds. */
    async function together(probes: readonly Probe[], condition: () => boolean, what: string): Promise<void> {
      await Promise.all(probes.map((probe) => probe.until(condition, what)));
    }

    function apart(probes: readonly { readonly held: ReadonlySet<string> }[], all: readonly string[]): boolean {
      const held = probes.flatMap((probe) => [...probe.held]);
      return held.length === all.length && new Set(held).size === all.length;
    }

    it("give one member everything, and each group its own copy", async () => {
      const { log } = shared;
      const topic = await newTopic(log, "delete", 3);
      await using writer = await log.openWriter(unique("writer"));
      const ranges = await writer.append([0, 1, 2].map((partition) => textRecord(topic.name, "v", null, partition)));
      await using one = await Probe.open(log, unique("group"), [topic.name]);
      await using two = await Probe.open(log, unique("group"), [topic.name]);
      await Promise.all([one.through(ranges), two.through(ranges)]);
      expect(one.held).toEqual(new Set(allOf(topic.name, 3)));
      expect(two.held).toEqual(one.held);
    });

    it("share partitions between two members, evenly, and move as few as possible", async () => {
      const { log, harness } = shared;
      await using other = await harness.open();
      const topic = await newTopic(log, "delete", 4);
      const all = allOf(topic.name, 4);
      const group = unique("group");
      await using one = await Probe.open(log, group, [topic.name]);
      await one.until(() => one.held.size === 4, "all partitions");
      await using two = await one.during(Probe.open(other, group, [topic.name]));
      await together([one, two], () => apart([one, two], all) && one.held.size === 2, "two partitions each");
      await using writer = await log.openWriter(unique("writer"));
      await writer.append([0, 1, 2, 3].map((partition) => textRecord(topic.name, String(partition), null, partition)));
      await together([one, two], () => one.seen.length + two.seen.length === 4, "the records");
      for (const probe of [one, two]) {
        expect(probe.seen.every((record) => probe.held.has(nameOf(record)))).toBe(true);
      }
    });

    it("hand a closed member's partitions to the others", async () => {
      const { log, harness } = shared;
      await using other = await harness.open();
      const topic = await newTopic(log, "delete", 3);
      const all = allOf(topic.name, 3);
      const group = unique("group");
      await using one = await Probe.open(log, group, [topic.name]);
      {
        await using two = await one.during(Probe.open(other, group, [topic.name]));
        await together([one, two], () => apart([one, two], all) && two.held.size > 0, "a part for each");
      }
      await one.until(() => one.held.size === 3, "what the closed member had");
      await using writer = await log.openWriter(unique("writer"));
      await one.through(
        await writer.append([0, 1, 2].map((partition) => textRecord(topic.name, "v", null, partition))),
      );
    });

    it("leave a member without partitions waiting until there is one for it", async () => {
      const { log } = shared;
      const topic = await newTopic(log);
      const group = unique("group");
      const one = await Probe.open(log, group, [topic.name]);
      await one.until(() => one.held.size === 1, "the partition");
      await using two = await one.during(Probe.open(log, group, [topic.name]));
      const waiting = two.until(() => two.held.size === 1, "the partition of the closed member");
      await one[Symbol.asyncDispose]();
      await waiting;
    });

    it("I7: hand over the partitions of a member that was killed, and lose no record", async () => {
      const { log, harness } = shared;
      const topic = await newTopic(log, "delete", 4);
      const all = allOf(topic.name, 4);
      const group = unique("group");
      await using one = await Probe.open(log, group, [topic.name]);
      await one.until(() => one.held.size === 4, "all partitions");
      await using child = await EventLogProcess.start(harness);
      child.begin({ do: "read", group, topics: [topic.name] });
      await one.until(() => apart([one, child], all) && child.held.size === 2, "two partitions each");
      await using writer = await log.openWriter(unique("writer"));
      const inChild = [...child.held];
      const first = await writer.append(
        [0, 1, 2, 3].map((partition) => textRecord(topic.name, "first", null, partition)),
      );
      await one.until(() => child.values.length === 2, "the records of the other process");
      await child.kill();
      await one.until(() => one.held.size === 4, "the partitions of the dead member");
      const second = await writer.append(
        [0, 1, 2, 3].map((partition) => textRecord(topic.name, "second", null, partition)),
      );
      await one.through([...first, ...second]);
      const taken = one.seen.filter((record) => inChild.includes(nameOf(record)));
      expect(Object.groupBy(taken, (record) => record.value ?? "")).toMatchObject({
        first: { length: 2 },
        second: { length: 2 },
      });
    });

    it("I7: hand over the partitions of a dead member though another group joins at that moment", async () => {
      const { log, harness } = shared;
      const topic = await newTopic(log, "delete", 2);
      const elsewhere = await newTopic(log);
      const group = unique("group");
      await using one = await Probe.open(log, group, [topic.name]);
      await using child = await one.during(EventLogProcess.start(harness));
      child.begin({ do: "read", group, topics: [topic.name] });
      await one.until(() => child.held.size === 1, "one partition each");
      await child.kill();
      const done = new AbortController();
      // So often that one of these joins is the first to see that the lease has run out.
      const joining = (async () => {
        while (!done.signal.aborted)
          await (await log.openReader(unique("other"), [elsewhere.name]))[Symbol.asyncDispose]();
      })();
      try {
        await one.until(() => one.held.size === 2, "the partition of the dead member");
      } finally {
        done.abort();
        await joining;
      }
    });

    it("I7: take back a member that was frozen for longer than its lease", async () => {
      const { log, harness } = shared;
      const topic = await newTopic(log, "delete", 2);
      const all = allOf(topic.name, 2);
      const group = unique("group");
      await using one = await Probe.open(log, group, [topic.name]);
      await using child = await one.during(EventLogProcess.start(harness));
      child.begin({ do: "read", group, topics: [topic.name] });
      await one.until(() => apart([one, child], all) && child.held.size === 1, "one partition each");
      child.freeze();
      await one.until(() => one.held.size === 2, "the partition of the frozen member");
      child.wake();
      await one.until(() => apart([one, child], all) && child.held.size === 1, "one partition each again");
      await using writer = await log.openWriter(unique("writer"));
      await writer.append([0, 1].map((partition) => textRecord(topic.name, "after", null, partition)));
      await one.until(() => one.values().includes("after") && child.values.includes("after"), "records for both");
    });

    it("follow a member's change of topics", async () => {
      const { log } = shared;
      const first = await newTopic(log, "delete", 2);
      const second = await newTopic(log, "delete", 2);
      await using writer = await log.openWriter(unique("writer"));
      await using probe = await Probe.open(log, unique("group"), [first.name]);
      await probe.until(() => probe.held.size === 2, "the first topic");
      await probe.during(probe.reader.setTopics([first.name, second.name]));
      await probe.until(() => probe.held.size === 4, "both topics");
      await probe.through(await writer.append([textRecord(first.name, "1"), textRecord(second.name, "2")]));
      await probe.during(probe.reader.setTopics([second.name]));
      await probe.until(() => probe.held.size === 2, "the second topic alone");
      await writer.append([textRecord(first.name, "unread")]);
      await probe.through(await writer.append([textRecord(second.name, "3")]));
      expect(probe.values()).toHaveLength(3);
      expect(new Set(probe.values())).toEqual(new Set(["1", "2", "3"]));
    });

    it("get the partitions of a topic that is created later, by whomever", async () => {
      const { log, harness } = shared;
      await using other = await harness.open();
      for (const maker of [log, other]) {
        const spec = { name: unique("late"), partitions: 2, cleanup: "delete" } as const;
        await using probe = await Probe.open(log, unique("group"), [spec.name]);
        const held = probe.until(() => probe.held.size === 2, "the partitions");
        await maker.ensureTopic(spec);
        await held;
        await using writer = await maker.openWriter(unique("writer"));
        await probe.through(await writer.append([textRecord(spec.name, "v", null, 1)]));
      }
    });

    it("I2: remember how far they are, and never go back", async () => {
      const { log, harness } = shared;
      const topic = await newTopic(log, "delete", 2);
      const group = unique("group");
      expect(await log.groupProgress(group)).toEqual([]);
      await log.registerGroup(group, [topic.name]);
      await using writer = await log.openWriter(unique("writer"));
      const ranges = await writer.append(
        [0, 1].flatMap((partition) => ["a", "b"].map((value) => textRecord(topic.name, value, null, partition))),
      );
      const place = { topic: topic.name, partition: 1 };
      const last = ranges.find((range) => range.partition === 1)?.last ?? 0n;
      {
        await using probe = await Probe.open(log, group, [topic.name]);
        await probe.through(ranges);
        await probe.reader.commit(place, last + 1n);
        await probe.reader.commit(place, last);
      }
      await using other = await harness.open();
      const [untouched, committed] = await other.groupProgress(group);
      const { end } = await log.bounds(place);
      expect(committed).toMatchObject({ ...place, next: last + 1n, end });
      expect(untouched).toMatchObject({ topic: topic.name, partition: 0, next: null });
      await log.removeGroup(group);
      await log.registerGroup(group, [topic.name]);
      expect((await log.groupProgress(group)).map((partition) => partition.next)).toEqual([null, null]);
    });

    it("are not forgotten while somebody reads with them, and then whole, by whomever", async () => {
      const { log, harness } = shared;
      const topic = await newTopic(log, "delete", 2);
      const group = unique("group");
      await using other = await harness.open();
      await using writer = await log.openWriter(unique("writer"));
      const [range] = await writer.append([textRecord(topic.name, "a")]);
      if (range === undefined) throw new Error("nothing was appended");
      {
        await using probe = await Probe.open(log, group, [topic.name]);
        await probe.through([range]);
        await probe.reader.commit(range, range.last + 1n);
        for (const remover of [log, other]) {
          const refused = await expectCode(probe.during(remover.removeGroup(group)), "log.group_in_use");
          expect(refused.detail).toEqual({ group });
        }
        expect((await other.groupProgress(group)).map(({ next }) => next)).toEqual([range.last + 1n, null]);
      }
      await other.removeGroup(group);
      expect(await log.groupProgress(group)).toEqual([]);
      await log.removeGroup(group);
      await log.removeGroup(unique("never"));
    });

    it("I7: can be forgotten when their member was killed, once it is taken for dead", async () => {
      const { log, harness } = shared;
      const topic = await newTopic(log);
      const group = unique("group");
      await using child = await EventLogProcess.start(harness);
      child.begin({ do: "read", group, topics: [topic.name] });
      await waitFor(() => child.held.size === 1, { deadlineMs: patienceMs, what: "the assignment" });
      await child.kill();
      await waitFor(
        async () => {
          try {
            await log.removeGroup(group);
            return true;
          } catch (error) {
            if (error instanceof DataTraceError && error.code === "log.group_in_use") return false;
            throw error;
          }
        },
        { deadlineMs: patienceMs, what: "the member to be taken for dead" },
      );
      expect(await log.groupProgress(group)).toEqual([]);
    });
  });
}
