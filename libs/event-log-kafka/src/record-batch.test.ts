import { createRequire } from "node:module";
import fc from "fast-check";
import type { LogRecord } from "@datatrace/core";
import { expect, test } from "vitest";

import { crc32c } from "./crc32c.ts";
import { encodeBatches, seal } from "./record-batch.ts";
import { visibleRecords } from "./visible-records.ts";

const load = createRequire(import.meta.url);
const referenceCrc = load("kafkajs/src/protocol/recordBatch/crc32C/crc32C.js") as (bytes: Buffer) => number;
const referenceDecode = load("kafkajs/src/protocol/recordBatch/v0/decoder.js") as (decoder: object) => Promise<{
  records: readonly { offset: string; key: Buffer | null; value: Buffer | null; headers: Record<string, Buffer> }[];
  producerId: string;
  inTransaction: boolean;
}>;
const Decoder = load("kafkajs/src/protocol/decoder.js") as new (bytes: Buffer) => object;

const bytes = fc.option(fc.uint8Array({ maxLength: 300 }), { nil: null });
const record = fc
  .record({
    topic: fc.constantFrom("a", "b"),
    partition: fc.nat(2),
    key: bytes,
    value: bytes,
    headers: fc.dictionary(
      fc.string({ unit: "grapheme", maxLength: 20 }),
      fc.string({ unit: "grapheme", maxLength: 200 }),
    ),
  })
  .filter(({ headers }) => !Object.hasOwn(headers, "__proto__"));

function plain({ key, value, headers }: Pick<LogRecord, "key" | "value" | "headers">): object {
  return {
    key: key === null ? null : Buffer.from(key).toString("hex"),
    value: value === null ? null : Buffer.from(value).toString("hex"),
    headers: { ...headers },
  };
}

test("the checksum is that of kafkajs, for every length and offset", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(20), (array, start) => {
      expect(crc32c(array, start)).toBe(referenceCrc(Buffer.from(array).subarray(start)));
    }),
  );
});

test("I4: records come back in order, none missing, however small the batches are", () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 50 }), fc.integer({ min: 70, max: 5000 }), (records, maxBytes) => {
      const offsets = new Map<string, bigint>();
      const read = new Map<string, object[]>();
      for (const batch of encodeBatches(records, maxBytes)) {
        const place = `${batch.topic}/${batch.partition}`;
        const base = offsets.get(place) ?? 0n;
        offsets.set(place, base + BigInt(batch.count));
        seal(batch, null, 0);
        batch.bytes.writeBigInt64BE(base, 0);
        expect(batch.count === 1 || batch.bytes.byteLength <= maxBytes).toBe(true);
        const answer = {
          topic: batch.topic,
          partition: batch.partition,
          errorCode: 0,
          aborted: [],
          bytes: batch.bytes,
        };
        const seen = visibleRecords(answer, base);
        expect(seen.next).toBe(base + BigInt(batch.count));
        expect(seen.records.map(({ offset }) => offset)).toEqual(seen.records.map((_, index) => base + BigInt(index)));
        read.set(place, [...(read.get(place) ?? []), ...seen.records.map(plain)]);
      }
      const expected = Object.groupBy(records, ({ topic, partition }) => `${topic}/${partition}`);
      for (const [place, own] of Object.entries(expected)) expect(read.get(place)).toEqual(own?.map(plain));
      expect(read.size).toBe(Object.keys(expected).length);
    }),
  );
});

test("kafkajs reads what is encoded here", async () => {
  const records: LogRecord[] = [
    { topic: "a", partition: 0, key: Buffer.from("k"), value: null },
    { topic: "a", partition: 0, key: null, value: Buffer.alloc(300, 1), headers: { größe: "NaN", "": "" } },
  ];
  const [batch] = encodeBatches(records, 1_000_000);
  seal(batch!, { producerId: 2n ** 40n, producerEpoch: 3 }, 7);
  const read = await referenceDecode(new Decoder(batch!.bytes));
  expect(read).toMatchObject({ producerId: String(2 ** 40), inTransaction: true });
  expect(
    read.records.map(({ key, value, headers }) => [key?.toString(), value?.byteLength, Object.keys(headers)]),
  ).toEqual([
    ["k", undefined, []],
    [undefined, 300, ["größe", ""]],
  ]);
});
