import { describe, expect, it } from "vitest";
import type { StoredRecord } from "@datatrace/core";
import { expectCode, newTopic, sharedLog, textRecord, unique } from "./event-log-case.ts";
import type { CreateEventLog } from "./event-log-harness.ts";
import { Probe } from "./event-log-probe.ts";

export function describeCompaction(create: CreateEventLog): void {
  describe("compacted topics", () => {
    const shared = sharedLog(create);

    function plain(records: readonly StoredRecord[]): [string, string][] {
      return records.map(({ key, value }) => [Buffer.from(key ?? []).toString(), Buffer.from(value ?? []).toString()]);
    }

    it("answer the last record of each key in offset order, without the deleted ones", async () => {
      const { log } = shared;
      const topic = await newTopic(log, "compact");
      await using writer = await log.openWriter(unique("writer"));
      expect(await log.latestByKey(topic.name)).toEqual([]);
      await writer.append(["a", "b", "c", "d"].map((key) => textRecord(topic.name, `${key}1`, key)));
      await writer.append([
        textRecord(topic.name, "b2", "b"),
        textRecord(topic.name, null, "c"),
        textRecord(topic.name, "a2", "a"),
        textRecord(topic.name, "b3", "b"),
        textRecord(topic.name, "", "é"),
      ]);
      const records = await log.latestByKey(topic.name);
      expect(plain(records)).toEqual([
        ["d", "d1"],
        ["a", "a2"],
        ["b", "b3"],
        ["é", ""],
      ]);
      const offsets = records.map((record) => record.offset);
      expect(offsets).toEqual(offsets.toSorted((one, other) => (one < other ? -1 : 1)));
      await writer.append([textRecord(topic.name, "c3", "c"), textRecord(topic.name, null, "a")]);
      expect(plain(await log.latestByKey(topic.name))).toEqual([
        ["d", "d1"],
        ["b", "b3"],
        ["é", ""],
        ["c", "c3"],
      ]);
    });

    it("see in latestByKey what another client has committed before", async () => {
      await using other = await shared.harness.open();
      const topic = await newTopic(shared.log, "compact");
      await using writer = await shared.log.openWriter(unique("writer"));
      for (let round = 0; round < 20; round += 1) {
        await writer.append([textRecord(topic.name, String(round), "position")]);
        expect(plain(await other.latestByKey(topic.name))).toEqual([["position", String(round)]]);
      }
    });

    it("refuse a record without a key, and the whole append with it", async () => {
      const { log } = shared;
      const topic = await newTopic(log, "compact");
      const data = await newTopic(log);
      await using writer = await log.openWriter(unique("writer"));
      const keyless = textRecord(topic.name, "no", null);
      const records = [textRecord(data.name, "no"), textRecord(topic.name, "no", "key"), keyless];
      await expectCode(writer.append(records), "internal.bug");
      await using next = await log.openWriter(unique("writer"));
      const ranges = await next.append([textRecord(data.name, "yes")]);
      expect(await log.latestByKey(topic.name)).toEqual([]);
      await using probe = await Probe.open(log, unique("group"), [data.name]);
      await probe.through(ranges);
      expect(probe.values()).toEqual(["yes"]);
    });

    it("give a reader the last record of every key, in offset order, and what comes later", async () => {
      const { log } = shared;
      const topic = await newTopic(log, "compact", 2);
      await using writer = await log.openWriter(unique("writer"));
      for (let round = 0; round < 30; round += 1) {
        await writer.append(
          ["a", "b", "c"].map((key, index) => textRecord(topic.name, `${key}${round}`, key, index % 2)),
        );
      }
      const before = await writer.append([textRecord(topic.name, null, "c", 0), textRecord(topic.name, "b30", "b", 1)]);
      await using probe = await Probe.open(log, unique("group"), [topic.name], () => 0n);
      await probe.through(before);
      const last = (key: string): string | null | undefined =>
        probe.seen.findLast((record) => record.key === key)?.value;
      expect([last("a"), last("b"), last("c")]).toEqual(["a29", "b30", null]);
      const seen = probe.seen.length;
      await probe.through(
        await writer.append([textRecord(topic.name, "a31", "a", 0), textRecord(topic.name, "c31", "c", 0)]),
      );
      expect(probe.seen.slice(seen).map((record) => record.value)).toEqual(["a31", "c31"]);
    });

    it("show a group the deletion of a key until the group has passed it", async () => {
      const { log, harness } = shared;
      const topic = await newTopic(log, "compact");
      const group = unique("group");
      await log.registerGroup(group, [topic.name]);
      await using writer = await log.openWriter(unique("writer"));
      await writer.append([textRecord(topic.name, "1", "key"), textRecord(topic.name, "1", "other")]);
      const ranges = await writer.append([textRecord(topic.name, null, "key")]);
      await harness.reclaim(log);
      await using probe = await Probe.open(log, group, [topic.name], () => 0n);
      await probe.through(ranges);
      expect(probe.seen.findLast((record) => record.key === "key")?.value).toBeNull();
      await probe.reader.commit(
        { topic: topic.name, partition: 0 },
        probe.nextOf({ topic: topic.name, partition: 0 }) ?? 0n,
      );
      await harness.reclaim(log);
      const { end } = await log.bounds({ topic: topic.name, partition: 0 });
      expect(end).toBeGreaterThan(ranges[0]?.last ?? end);
      expect(plain(await log.latestByKey(topic.name))).toEqual([["other", "1"]]);
      // The offsets of what was removed are not given again.
      const [later] = await writer.append([textRecord(topic.name, "2", "key")]);
      expect(later?.first).toBeGreaterThanOrEqual(end);
    });

    it("hold many keys and large values", async () => {
      const { log } = shared;
      const topic = await newTopic(log, "compact");
      await using writer = await log.openWriter(unique("writer"));
      const large = "x".repeat(20_000);
      for (let round = 0; round < 3; round += 1) {
        await writer.append(
          Array.from({ length: 500 }, (_, key) => textRecord(topic.name, `${round}${large}`, `key ${key}`)),
        );
      }
      const records = await log.latestByKey(topic.name);
      expect(records).toHaveLength(500);
      expect(new Set(records.map((record) => record.value?.[0]))).toEqual(new Set(["2".charCodeAt(0)]));
      await using probe = await Probe.open(log, unique("group"), [topic.name], () => 0n);
      await probe.until(() => new Set(probe.seen.map((record) => record.key)).size === 500, "every key");
    });
  });
}
