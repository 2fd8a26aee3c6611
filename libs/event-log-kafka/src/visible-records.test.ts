import { createRequire } from "node:module";
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { LogRecord } from "@datatrace/core";
import { expect, test } from "vitest";

import { crc32c } from "./crc32c.ts";
import type { AbortedTransaction } from "./fetch-request.ts";
import { batchHeaderBytes, encodeBatches, seal } from "./record-batch.ts";
import { visibleRecords } from "./visible-records.ts";

const load = createRequire(import.meta.url);

/** With its checksum. */
function summed(bytes: Buffer): Buffer {
  bytes.writeUInt32BE(crc32c(bytes, 21), 17);
  return bytes;
}

/** A batch of a producer as it lies in the log. */
function batch(producerId: bigint, base: bigint, values: readonly string[]): Buffer {
  const records = values.map((value): LogRecord => ({
    topic: "t",
    partition: 0,
    key: null,
    value: Buffer.from(value),
  }));
  const [encoded] = encodeBatches(records, 1_000_000);
  seal(encoded!, { producerId, producerEpoch: 0 }, 0);
  encoded!.bytes.writeBigInt64BE(base, 0);
  return encoded!.bytes;
}

/** The end of a transaction. */
function marker(producerId: bigint, base: bigint, type: "abort" | "commit"): Buffer {
  const key = Buffer.from([0, 0, 0, type === "abort" ? 0 : 1]);
  const [encoded] = encodeBatches([{ topic: "t", partition: 0, key, value: Buffer.alloc(6) }], 1_000_000);
  seal(encoded!, { producerId, producerEpoch: 0 }, 0);
  encoded!.bytes.writeBigInt64BE(base, 0);
  encoded!.bytes.writeInt16BE(0x30, 21);
  return summed(encoded!.bytes);
}

function see(parts: readonly Buffer[], aborted: readonly AbortedTransaction[], offset = 0n) {
  const answer = { topic: "t", partition: 0, errorCode: 0, aborted, bytes: Buffer.concat(parts) };
  const { records, next } = visibleRecords(answer, offset);
  return { values: records.map(({ value }) => Buffer.from(value ?? []).toString()), next };
}

/** Two writers whose aborted transactions lie between each other; brokers name them in no order of theirs. */
const interleaved = [
  batch(1n, 0n, ["one aborted"]),
  batch(2n, 1n, ["two aborted"]),
  marker(1n, 2n, "abort"),
  batch(1n, 3n, ["one committed"]),
  batch(2n, 4n, ["two aborted, too"]),
  marker(2n, 5n, "abort"),
  marker(1n, 6n, "commit"),
  batch(2n, 7n, ["two committed"]),
  marker(2n, 8n, "commit"),
];
const abortedByBroker = [
  { producerId: 2n, firstOffset: 1n },
  { producerId: 1n, firstOffset: 0n },
];

test("I5: nothing that was aborted is seen, though two writers' transactions lie between each other", () => {
  expect(see(interleaved, abortedByBroker)).toEqual({ values: ["one committed", "two committed"], next: 9n });
});

/** Messages as kafkajs has them. */
function control(offset: string, producerId: string, type: number): object {
  return {
    offset,
    isControlRecord: true,
    key: Buffer.from([0, 0, 0, type]),
    batchContext: { producerId, inTransaction: true },
  };
}

function data(offset: string, producerId: string): object {
  return {
    offset,
    isControlRecord: false,
    key: null,
    batchContext: { producerId, inTransaction: true },
  };
}

test("I5: the filter that kafkajs ships lets aborted records of such a partition through", () => {
  const filter = load("kafkajs/src/consumer/filterAbortedMessages.js") as (options: object) => { offset: string }[];
  const messages = [
    data("0", "1"),
    data("1", "2"),
    control("2", "1", 0),
    data("3", "1"),
    data("4", "2"),
    control("5", "2", 0),
    control("6", "1", 1),
    data("7", "2"),
    control("8", "2", 1),
  ];
  const abortedTransactions = abortedByBroker.map(({ producerId, firstOffset }) => ({
    producerId: producerId.toString(),
    firstOffset: firstOffset.toString(),
  }));
  const seen = filter({ messages, abortedTransactions }).map(({ offset }) => offset);
  expect(seen).not.toEqual(["3", "7"]);
});

test("a data record whose key looks like an abort marker ends nothing", () => {
  const fake = encodeBatches(
    [{ topic: "t", partition: 0, key: Buffer.alloc(4), value: Buffer.from("fake") }],
    1_000_000,
  )[0]!;
  seal(fake, { producerId: 1n, producerEpoch: 0 }, 0);
  const parts = [fake.bytes, batch(1n, 1n, ["aborted"]), marker(1n, 2n, "abort")];
  expect(see(parts, [{ producerId: 1n, firstOffset: 0n }])).toEqual({ values: [], next: 3n });
});

test("records below the offset are left out, and a batch that was cut off is left for the next answer", () => {
  const parts = [batch(-1n, 10n, ["a", "b", "c"]), batch(-1n, 13n, ["d"]).subarray(0, 65)];
  expect(see(parts, [], 11n)).toEqual({ values: ["b", "c"], next: 13n });
});

test.for([
  ["gzip", 1, gzipSync],
  ["zstd", 4, zstdCompressSync],
] as const)("%s is read", ([, codec, compress]) => {
  const plain = batch(-1n, 0n, ["a", "b"]);
  const bytes = Buffer.concat([plain.subarray(0, batchHeaderBytes), compress(plain.subarray(batchHeaderBytes))]);
  bytes.writeInt32BE(bytes.byteLength - 12, 8);
  bytes.writeInt16BE(codec, 21);
  summed(bytes);
  expect(see([bytes], [])).toEqual({ values: ["a", "b"], next: 2n });
});

test.for([
  ["snappy", 2],
  ["lz4", 3],
] as const)("%s is refused by name", ([name, codec]) => {
  const bytes = Buffer.from(batch(-1n, 0n, ["a"]));
  bytes.writeInt16BE(codec, 21);
  summed(bytes);
  expect(() => see([bytes], [])).toThrow(
    expect.objectContaining({
      code: "log.compression_unsupported",
      detail: expect.objectContaining({ compression: name }),
    }),
  );
});

test("a batch of which a bit has changed is log.corrupt", () => {
  const bytes = Buffer.from(batch(-1n, 5n, ["a", "b"]));
  bytes[bytes.byteLength - 3] = (bytes[bytes.byteLength - 3] ?? 0) ^ 1;
  expect(() => see([bytes], [])).toThrow(
    expect.objectContaining({ code: "log.corrupt", detail: { topic: "t", partition: 0, offset: "5" } }),
  );
});
