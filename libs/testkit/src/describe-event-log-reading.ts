import { describe, expect, it } from "vitest";
import type { EventLog, LogWriter, TopicPartition } from "@datatrace/core";
import { expectCode, newTopic, sharedLog, textRecord, unique } from "./event-log-case.ts";
import type { CreateEventLog } from "./event-log-harness.ts";
import { patienceMs, Probe } from "./event-log-probe.ts";

export function describeReading(create: CreateEventLog): void {
  describe("readers", () => {
    const shared = sharedLog(create);

    async function numbered(
      log: EventLog,
      count: number,
      partitions = 1,
    ): Promise<{ topic: string; writer: LogWriter }> {
      const topic = (await newTopic(log, "delete", partitions)).name;
      const writer = await log.openWriter(unique("writer"));
      for (let partition = 0; partition < partitions; partition += 1) {
        await writer.append(
          Array.from({ length: count }, (_, index) => textRecord(topic, String(index), null, partition)),
        );
      }
      return { topic, writer };
    }

    function numbers(from: number, to: number): string[] {
      return Array.from({ length: to - from }, (_, index) => String(from + index));
    }

    it("get nothing of a partition before it was sought", async () => {
      const { log } = shared;
      const { topic, writer } = await numbered(log, 10, 2);
      await using probe = await Probe.open(log, unique("group"), [topic], ({ partition }) =>
        partition === 0 ? 0n : null,
      );
      await probe.until(() => probe.held.size === 2, "the assignment");
      await probe.until(() => probe.values().length === 10, "the partition that was sought");
      await writer.append([textRecord(topic, "more", null, 1)]);
      await writer.append([textRecord(topic, "more", null, 0)]);
      await probe.until(() => probe.values().length === 11, "the partition that was sought");
      expect(probe.values({ topic, partition: 1 })).toEqual([]);
      probe.seek({ topic, partition: 1 }, 0n);
      await probe.until(() => probe.values({ topic, partition: 1 }).length === 11, "the other one");
    });

    it("wait for news, and go on after an aborted poll", async () => {
      const { log } = shared;
      const { topic, writer } = await numbered(log, 3);
      await using probe = await Probe.open(log, unique("group"), [topic]);
      await probe.until(() => probe.values().length === 3, "what is there");
      const reason = new Error("enough");
      await expect(probe.reader.poll(AbortSignal.abort(reason))).rejects.toBe(reason);
      const abort = new AbortController();
      const polling = probe.reader.poll(abort.signal);
      setImmediate(() => abort.abort(reason));
      await expect(polling).rejects.toBe(reason);
      await probe.through(await writer.append([textRecord(topic, "3")]));
      expect(probe.values()).toEqual(numbers(0, 4));
    });

    it("go on where the last one ended, after everything was closed", async () => {
      const place = { topic: "", partition: 0 };
      let next = 0n;
      {
        await using log = await shared.harness.open();
        const { topic } = await numbered(log, 100);
        place.topic = topic;
        await using probe = await Probe.open(log, "resumed", [topic]);
        await probe.until(() => probe.values().length === 100, "the first records");
        next = probe.nextOf(place) ?? 0n;
      }
      await using log = await shared.harness.open();
      expect(await log.topic(place.topic)).not.toBeNull();
      await using writer = await log.openWriter(unique("writer"));
      const ranges = await writer.append([textRecord(place.topic, "100"), textRecord(place.topic, "101")]);
      await using probe = await Probe.open(log, "resumed", [place.topic], () => next);
      await probe.through(ranges);
      expect(probe.values()).toEqual(["100", "101"]);
    });

    it("can be sent to any record, forth and back", async () => {
      const { log } = shared;
      const { topic, writer } = await numbered(log, 200);
      await writer.append(numbers(200, 300).map((value) => textRecord(topic, value)));
      const place = { topic, partition: 0 };
      await using probe = await Probe.open(log, unique("group"), [topic]);
      await probe.until(() => probe.values().length === 300, "all records");
      const offsets = probe.seen.map((record) => record.offset);
      for (const index of [150, 0, 299, 201, 199, 200]) {
        const from = probe.seen.length;
        probe.seek(place, offsets[index] ?? -1n);
        await probe.until(() => probe.seen.length === from + 300 - index, `record ${index} and what follows`);
        expect(probe.seen.slice(from).map((record) => record.value)).toEqual(numbers(index, 300));
      }
      probe.seek(place, (await log.bounds(place)).end);
      const from = probe.seen.length;
      await probe.through(await writer.append([textRecord(topic, "end")]));
      expect(probe.seen.slice(from).map((record) => record.value)).toEqual(["end"]);
    });

    it("drop what was fetched before a seek", async () => {
      const { log } = shared;
      const { topic, writer } = await numbered(log, 50);
      // Appends of their own, so that a fetch of the last records does not bring the first ones along.
      const offsets: bigint[] = [];
      for (const value of numbers(50, 58)) {
        const [range] = await writer.append([textRecord(topic, value)]);
        offsets.push(range?.last ?? 0n);
      }
      const last = offsets.at(-1) ?? 0n;
      await using probe = await Probe.open(log, unique("group"), [topic], () => null);
      await probe.until(() => probe.held.size === 1, "the assignment");
      const place = { topic, partition: 0 };
      const { earliest } = await log.bounds(place);
      for (let round = 0; round < 50; round += 1) {
        // Of a record: the offsets before the end may be of none.
        const late = offsets.at(-1 - (round % 7)) ?? last;
        const [first, second] = round % 2 === 0 ? [earliest, late] : [late, earliest];
        probe.seek(place, first);
        // Whether the fetch for the first seek has been answered by now differs from round to round.
        for (let trip = 0; trip < round % 4; trip += 1) await log.bounds(place);
        const from = probe.seen.length;
        probe.seek(place, second);
        await probe.until(() => (probe.nextOf(place) ?? 0n) > last, "the last record");
        expect(probe.seen[from]?.offset).toBe(second);
      }
    });

    it("get nothing of a paused partition, and all of it when it is resumed", async () => {
      const { log } = shared;
      const { topic, writer } = await numbered(log, 10, 2);
      const stopped: TopicPartition = { topic, partition: 0 };
      await using probe = await Probe.open(log, unique("group"), [topic]);
      await probe.until(() => probe.values().length === 20, "what is there");
      probe.reader.pause([stopped]);
      const ranges = await writer.append(
        [0, 1].flatMap((partition) => numbers(10, 20).map((value) => textRecord(topic, value, null, partition))),
      );
      await probe.through(ranges.filter((range) => range.partition === 1));
      await probe.through(await writer.append([textRecord(topic, "20", null, 1)]));
      expect(probe.values(stopped)).toEqual(numbers(0, 10));
      probe.reader.resume([stopped]);
      await probe.through(ranges);
      expect(probe.values(stopped)).toEqual(numbers(0, 20));
    });

    it("pause, seek and resume nothing that is not theirs", async () => {
      const { log } = shared;
      const { topic } = await numbered(log, 5);
      await using probe = await Probe.open(log, unique("group"), [topic]);
      const foreign = [
        { topic, partition: 9 },
        { topic: unique("none"), partition: 0 },
      ];
      probe.reader.pause(foreign);
      probe.reader.resume(foreign);
      for (const place of foreign) probe.reader.seek(place, 0n);
      await probe.until(() => probe.values().length === 5, "its own records");
    });

    it("fail with log.out_of_range beyond either end, and go on with the others", async () => {
      const { log, harness } = shared;
      const { topic, writer } = await numbered(log, 10, 2);
      const group = unique("group");
      const place = { topic, partition: 0 };
      await using probe = await Probe.open(log, group, [topic]);
      await probe.until(() => probe.values().length === 20, "what is there");
      const { end } = await log.bounds(place);

      probe.seek(place, end + 1000n);
      const above = await expectCode(probe.poll(), "log.out_of_range");
      expect(above.detail).toMatchObject({ topic, partition: 0 });
      await probe.through(await writer.append([textRecord(topic, "other", null, 1)]));

      await probe.reader.commit(place, end);
      await harness.reclaim(log);
      const { earliest } = await log.bounds(place);
      expect(earliest).toBeGreaterThan(0n);
      probe.seek(place, earliest - 1n);
      await expectCode(probe.poll(), "log.out_of_range");
      await probe.through(await writer.append([textRecord(topic, "again", null, 1)]));
      probe.seek(place, earliest);
      const ranges = await writer.append([textRecord(topic, "back", null, 0)]);
      await probe.through(ranges);
      expect(probe.values(place).at(-1)).toBe("back");
    });

    it("see what another client appends, soon", async () => {
      await using other = await shared.harness.open();
      const { topic } = await numbered(shared.log, 1);
      await using writer = await other.openWriter(unique("writer"));
      await using probe = await Probe.open(shared.log, unique("group"), [topic]);
      await probe.until(() => probe.values().length === 1, "what is there");
      const delaysMs: number[] = [];
      for (let round = 0; round < 50; round += 1) {
        const ranges = await writer.append([textRecord(topic, String(round))]);
        const startMs = performance.now();
        await probe.through(ranges);
        delaysMs.push(performance.now() - startMs);
      }
      expect(percentile(delaysMs, 0.5)).toBeLessThan(100);
    });

    it("are not held up by a partition that is stuck", async () => {
      const { log } = shared;
      const topic = (await newTopic(log, "delete", 3)).name;
      await using writer = await log.openWriter(unique("writer"));
      const stuck = { topic, partition: 0 };
      await using probe = await Probe.open(log, unique("group"), [topic]);
      await probe.until(() => probe.held.size === 3, "the assignment");

      async function latenciesMs(): Promise<number[]> {
        const delaysMs: number[] = [];
        for (let round = 0; round < 200; round += 1) {
          const startMs = performance.now();
          await probe.through(await writer.append([textRecord(topic, "quick", null, 1 + (round % 2))]));
          delaysMs.push(performance.now() - startMs);
        }
        return delaysMs;
      }
      await latenciesMs();
      const before = await latenciesMs();
      // A sink's queue of this partition is full; behind it lie more records than any reader would hold.
      probe.reader.pause([stuck]);
      const large = "x".repeat(1_000_000);
      for (let round = 0; round < 30; round += 1) await writer.append([textRecord(topic, large)]);
      const during = await latenciesMs();
      expect(percentile(during, 0.99)).toBeLessThan(3 * percentile(before, 0.99) + 20);
      expect(probe.values(stuck)).toEqual([]);
      probe.reader.resume([stuck]);
      await probe.until(() => probe.values(stuck).length === 30, "the stuck partition");
    });

    it("take turns with their partitions, so that long ones leave room for the others", async () => {
      const { log } = shared;
      const topic = (await newTopic(log, "delete", 12)).name;
      await using writer = await log.openWriter(unique("writer"));
      const large = "x".repeat(500_000);
      for (let round = 0; round < 40; round += 1) await writer.append([textRecord(topic, large, null, 0)]);
      // More than any answer holds, in more partitions than one.
      for (let round = 0; round < 4; round += 1) {
        await writer.append([1, 2, 3, 4, 5, 6, 7, 8].map((partition) => textRecord(topic, large, null, partition)));
      }
      const ranges = await writer.append([9, 10, 11].map((partition) => textRecord(topic, "short", null, partition)));
      await using probe = await Probe.open(log, unique("group"), [topic]);
      await probe.through(ranges);
      expect(probe.values({ topic, partition: 0 }).length).toBeLessThan(40);
      await probe.until(() => probe.seen.length === 40 + 32 + 3, "everything");
    });

    it("hold a backlog in bounded batches", async () => {
      const { log } = shared;
      const topic = (await newTopic(log)).name;
      await using writer = await log.openWriter(unique("writer"));
      const value = "x".repeat(1000);
      await writer.append(Array.from({ length: 40_000 }, () => textRecord(topic, value)));
      await using probe = await Probe.open(log, unique("group"), [topic]);
      const signal = AbortSignal.timeout(patienceMs);
      let largest = 0;
      while (probe.seen.length < 40_000) {
        for (const event of await probe.poll(signal)) {
          if (event.kind === "batch") largest = Math.max(largest, event.records.length);
        }
      }
      expect(largest).toBeLessThan(20_000);
      expect(probe.seen.length).toBe(40_000);
    });
  });
}

function percentile(values: readonly number[], part: number): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length * part)] ?? Number.POSITIVE_INFINITY;
}
