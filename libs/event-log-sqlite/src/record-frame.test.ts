import type { LogRecord } from "@datatrace/core";
import fc from "fast-check";
import { expect, test } from "vitest";

import { packAppend } from "./append-pack.ts";
import { recordsOf } from "./record-frame.ts";

const bytes = fc.option(fc.uint8Array({ maxLength: 40 }), { nil: null });
const headers = fc.option(
  fc.dictionary(fc.string({ unit: "grapheme" }), fc.string({ unit: "binary" }), { noNullPrototype: true }),
  { nil: undefined },
);
const record = fc
  .record({ topic: fc.constantFrom("a", "b"), partition: fc.nat(2), key: bytes, value: bytes, headers })
  .map(({ headers: some, ...rest }): LogRecord => (some === undefined ? rest : { ...rest, headers: some }));

function plain({ key, value, headers: some }: Pick<LogRecord, "key" | "value" | "headers">): unknown {
  return { key: key && Buffer.from(key), value: value && Buffer.from(value), headers: { ...some } };
}

test("I4: what was packed is unpacked the same, partition by partition", () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 30 }), fc.bigInt({ min: 0n, max: 2n ** 44n }), (records, base) => {
      const packed = packAppend(records);
      const unpacked = new Map<string, unknown[]>();
      for (const { topic, partition, count, start, end } of packed.parts) {
        const frames = packed.bytes.subarray(start, end);
        const some = recordsOf({ base, count, offsets: null, frames }, 0n);
        expect(some.map(({ offset }) => offset)).toEqual(
          Array.from({ length: count }, (_, index) => base + BigInt(index)),
        );
        unpacked.set(`${topic}${partition}`, [...(unpacked.get(`${topic}${partition}`) ?? []), ...some.map(plain)]);
      }
      const expected = Map.groupBy(records, ({ topic, partition }) => `${topic}${partition}`);
      expect(unpacked).toEqual(new Map([...expected].map(([place, some]) => [place, some.map(plain)])));
    }),
  );
});

test("a row of an append holds at most a mebibyte, unless one record alone is larger", () => {
  const value = (sizeBytes: number): LogRecord => ({
    topic: "a",
    partition: 0,
    key: null,
    value: Buffer.alloc(sizeBytes),
  });
  const { parts } = packAppend([
    ...Array.from({ length: 5 }, () => value(400_000)),
    value(3_000_000),
    value(10),
    value(10),
  ]);
  expect(parts.map((part) => part.count)).toEqual([2, 2, 1, 1, 2]);
  expect(parts.map((part) => part.end - part.start <= 1024 * 1024)).toEqual([true, true, true, false, true]);
});

test("records below the offset asked for are left out", () => {
  const records = ["a", "b", "c"].map((text): LogRecord => ({
    topic: "t",
    partition: 0,
    key: null,
    value: Buffer.from(text),
  }));
  const { bytes: frames } = packAppend(records);
  const seen = (from: bigint): string[] =>
    recordsOf({ base: 7n, count: 3, offsets: null, frames }, from).map(({ value }) =>
      Buffer.from(value ?? []).toString(),
    );
  expect([seen(0n), seen(8n), seen(9n), seen(10n)]).toEqual([["a", "b", "c"], ["b", "c"], ["c"], []]);
});

test("frames that do not fit into their bytes are log.corrupt", () => {
  const { bytes: frames } = packAppend([
    { topic: "t", partition: 0, key: Buffer.from("key"), value: Buffer.from("value") },
  ]);
  for (let length = 0; length < frames.byteLength; length += 1) {
    const cut = { base: 0n, count: 1, offsets: null, frames: frames.subarray(0, length) };
    expect(() => recordsOf(cut, 0n)).toThrow(expect.objectContaining({ code: "log.corrupt" }));
  }
});
