import { describe, expect, it } from "vitest";
import type { LogRecord } from "@datatrace/core";
import { expectCode, newTopic, sharedLog, textRecord, unique } from "./event-log-case.ts";
import type { CreateEventLog } from "./event-log-harness.ts";
import { Probe } from "./event-log-probe.ts";

export function describeAppends(create: CreateEventLog): void {
  describe("appends", () => {
    const shared = sharedLog(create);

    it("I4: keep the order of each partition, within an append and from one to the next", async () => {
      const { log } = shared;
      const topic = await newTopic(log, "delete", 3);
      await using writer = await log.openWriter(unique("writer"));
      await using probe = await Probe.open(log, unique("group"), [topic.name]);
      const expected: string[][] = [[], [], []];
      let ranges = await writer.append([]);
      expect(ranges).toEqual([]);
      for (let append = 0; append < 20; append += 1) {
        const records = Array.from({ length: 50 }, (_, index): LogRecord => {
          const partition = (index * 7 + append) % 3;
          expected[partition]?.push(`${append}/${index}`);
          return textRecord(topic.name, `${append}/${index}`, null, partition);
        });
        ranges = await writer.append(records);
      }
      await probe.through(ranges);
      for (const partition of [0, 1, 2]) {
        expect(probe.values({ topic: topic.name, partition })).toEqual(expected[partition]);
      }
    });

    it("answer the addresses of what they wrote", async () => {
      const { log } = shared;
      const one = await newTopic(log, "delete", 2);
      const two = await newTopic(log, "compact");
      await using writer = await log.openWriter(unique("writer"));
      await writer.append([textRecord(one.name, "before", null, 1)]);
      const ranges = await writer.append([
        textRecord(one.name, "a", null, 1),
        textRecord(two.name, "b", "key"),
        textRecord(one.name, "c", null, 1),
      ]);
      expect(ranges.map(({ topic, partition }) => ({ topic, partition }))).toHaveLength(2);
      await using probe = await Probe.open(log, unique("group"), [one.name, two.name]);
      await probe.through(ranges);
      const offset = (value: string): bigint | undefined => probe.seen.find((record) => record.value === value)?.offset;
      const inOne = ranges.find((range) => range.topic === one.name);
      const inTwo = ranges.find((range) => range.topic === two.name);
      expect(inOne).toEqual({ topic: one.name, partition: 1, first: offset("a"), last: offset("c") });
      expect(inTwo).toEqual({ topic: two.name, partition: 0, first: offset("b"), last: offset("b") });
      const bounds = await log.bounds({ topic: one.name, partition: 1 });
      expect(bounds.end).toBeGreaterThan(offset("c") ?? bounds.end);
      expect(bounds.earliest).toBeLessThanOrEqual(offset("before") ?? -1n);
    });

    it("keep every kind of key, value and header", async () => {
      const { log } = shared;
      const topic = await newTopic(log);
      const records: LogRecord[] = [
        { key: null, value: null },
        { key: Buffer.alloc(0), value: null },
        { key: null, value: Buffer.alloc(0) },
        { key: Buffer.from([0, 0, 0, 0]), value: Buffer.from([255, 0, 254]) },
        { key: Buffer.from("schlüssel 钥匙 🔑"), value: Buffer.from("wert 值 🗝"), headers: {} },
        { key: null, value: null, headers: { empty: "" } },
        {
          key: null,
          value: Buffer.from("v"),
          headers: { "datatrace.text.größe": "NaN\u0000\n\"\\'", 名: "🗝", "": "no name" },
        },
        { key: Buffer.alloc(70_000, 7), value: Buffer.alloc(3_000_000, 9), headers: { long: "x".repeat(40_000) } },
        { key: new Uint8Array([1, 2, 3]).subarray(1), value: new Uint8Array([4, 5, 6]).subarray(1, 2) },
      ].map((record) => ({ topic: topic.name, partition: 0, ...record }));
      await using writer = await log.openWriter(unique("writer"));
      await using probe = await Probe.open(log, unique("group"), [topic.name]);
      await probe.through(await writer.append(records));
      const plain = ({ key, value, headers }: Pick<LogRecord, "key" | "value" | "headers">): unknown => ({
        key: key === null ? null : Buffer.from(key).toString("base64"),
        value: value === null ? null : Buffer.from(value).toString("base64"),
        headers: { ...headers },
      });
      expect(probe.records.map(plain)).toEqual(records.map(plain));
    });

    it("do not change when the caller uses its buffers again", async () => {
      const { log } = shared;
      const topic = await newTopic(log);
      await using writer = await log.openWriter(unique("writer"));
      const buffer = Buffer.from("first");
      const appended = writer.append([{ topic: topic.name, partition: 0, key: buffer, value: buffer }]);
      buffer.write("XXXXX");
      await using probe = await Probe.open(log, unique("group"), [topic.name]);
      await probe.through(await appended);
      expect(probe.seen).toMatchObject([{ key: "first", value: "first" }]);
    });

    it("I5: become visible whole, across topics and partitions", async () => {
      const { log } = shared;
      const topics = [
        await newTopic(log, "delete", 2),
        await newTopic(log, "delete", 2),
        await newTopic(log, "compact"),
      ];
      const names = topics.map((topic) => topic.name);
      await using writer = await log.openWriter(unique("writer"));
      const rounds = 40;
      const writing = (async () => {
        let ranges = await writer.append([]);
        for (let round = 0; round < rounds; round += 1) {
          ranges = await writer.append(
            topics.flatMap(({ name, partitions }) =>
              Array.from({ length: partitions }, (_, partition) => textRecord(name, String(round), "key", partition)),
            ),
          );
        }
        return ranges;
      })();
      // Whatever a reader has been shown in one place can be read in every other.
      let most = -1;
      while (most < rounds - 1) {
        const [latest] = await log.latestByKey(names[2] ?? "");
        most = latest?.value ? Number(Buffer.from(latest.value).toString()) : -1;
        await using probe = await Probe.open(log, unique("group"), names.slice(0, 2));
        await probe.until(
          () => names.slice(0, 2).every((name) => probe.values(name).length >= 2 * (most + 1)),
          "its round",
        );
      }
      await using probe = await Probe.open(log, unique("group"), names.slice(0, 2));
      await probe.through((await writing).filter((range) => range.topic !== names[2]));
      expect(probe.values(names[0])).toHaveLength(2 * rounds);
    });

    it("I2: of a fenced writer fail and leave nothing", async () => {
      const { log } = shared;
      const topic = await newTopic(log, "delete", 2);
      const id = unique("writer");
      await using first = await log.openWriter(id);
      await first.append([textRecord(topic.name, "first")]);
      await using other = await shared.harness.open();
      await using second = await other.openWriter(id);
      await expectCode(
        first.append([textRecord(topic.name, "zombie"), textRecord(topic.name, "zombie", null, 1)]),
        "log.fenced",
      );
      await expectCode(first.append([textRecord(topic.name, "zombie")]), "log.fenced");
      const ranges = await second.append([textRecord(topic.name, "second")]);
      await using unrelated = await log.openWriter(unique("writer"));
      await unrelated.append([textRecord(topic.name, "unrelated", null, 1)]);
      await using probe = await Probe.open(log, unique("group"), [topic.name]);
      await probe.through(ranges);
      await probe.until(() => probe.seen.length === 3, "the other partition");
      expect(new Set(probe.values())).toEqual(new Set(["first", "second", "unrelated"]));
    });

    it("of two writers race without loss", async () => {
      await using other = await shared.harness.open();
      const topic = await newTopic(shared.log);
      const writers = [await shared.log.openWriter(unique("writer")), await other.openWriter(unique("writer"))];
      const rounds = 100;
      const ranges = await Promise.all(
        writers.map(async (writer, name) => {
          let last = await writer.append([]);
          for (let round = 0; round < rounds; round += 1) {
            last = await writer.append([
              textRecord(topic.name, `${name}/${round}`),
              textRecord(topic.name, `${name}/${round}`),
            ]);
          }
          return last;
        }),
      );
      await using probe = await Probe.open(shared.log, unique("group"), [topic.name]);
      await probe.through(ranges.flat());
      for (const name of ["0", "1"]) {
        const own = probe.values().filter((value) => value?.startsWith(`${name}/`));
        expect(own).toEqual(Array.from({ length: 2 * rounds }, (_, index) => `${name}/${index >> 1}`));
      }
      // Both records of an append lie side by side.
      for (let index = 0; index < probe.seen.length; index += 2) {
        expect(probe.seen[index + 1]?.value).toBe(probe.seen[index]?.value);
      }
    });

    it("of an aborted signal append nothing", async () => {
      const { log } = shared;
      const topic = await newTopic(log);
      await using writer = await log.openWriter(unique("writer"));
      const reason = new Error("enough");
      await expect(writer.append([textRecord(topic.name, "no")], AbortSignal.abort(reason))).rejects.toBe(reason);
      const ranges = await writer.append([textRecord(topic.name, "yes")], new AbortController().signal);
      await using probe = await Probe.open(log, unique("group"), [topic.name]);
      await probe.through(ranges);
      expect(probe.values()).toEqual(["yes"]);
    });

    it("that are aborted half-way have been made or not, and say which", async () => {
      const { log } = shared;
      const topic = await newTopic(log);
      const made: string[] = [];
      for (let round = 0; round < 20; round += 1) {
        await using writer = await log.openWriter(unique("writer"));
        const abort = new AbortController();
        const appending = writer.append([textRecord(topic.name, String(round))], abort.signal);
        setImmediate(() => abort.abort());
        await appending.then(
          () => made.push(String(round)),
          (error: unknown) => expect(error).toBe(abort.signal.reason),
        );
      }
      await using writer = await log.openWriter(unique("writer"));
      await using probe = await Probe.open(log, unique("group"), [topic.name]);
      await probe.through(await writer.append([textRecord(topic.name, "end")]));
      expect(probe.values()).toEqual([...made, "end"]);
    });

    it("are refused after the log was closed", async () => {
      const log = await shared.harness.open();
      const topic = await newTopic(log);
      const writer = await log.openWriter(unique("writer"));
      const reader = await log.openReader(unique("group"), [topic.name]);
      await reader.poll(AbortSignal.timeout(30_000));
      const polling = reader.poll(AbortSignal.timeout(30_000));
      const waiting = expectCode(polling, "log.closed");
      await log[Symbol.asyncDispose]();
      await waiting;
      await expectCode(log.bounds({ topic: topic.name, partition: 0 }), "log.closed");
      await expectCode(writer.append([textRecord(topic.name, "late")]), "log.closed");
      await log[Symbol.asyncDispose]();
    });
  });
}
