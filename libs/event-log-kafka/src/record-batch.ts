import { invariant } from "@datatrace/core";
import type { LogRecord, TopicPartition } from "@datatrace/core";

import { crc32c } from "./crc32c.ts";

/** Bytes before the first record of a batch. */
export const batchHeaderBytes = 61;

// Offsets of the fields of a batch (message format 2, the only one that Kafka 4 writes).
const at = {
  length: 8,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  firstTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  firstSequence: 53,
  count: 57,
} as const;

const transactional = 0x10;

/** Who has produced a batch; -1 for nobody in particular. */
export interface ProducerIdentity {
  readonly producerId: bigint;
  readonly producerEpoch: number;
}

/** Encoded records of one partition. The header is complete only after `seal`. */
export interface RecordBatch extends TopicPartition {
  readonly bytes: Buffer;
  readonly count: number;
}

/**
 * Encodes records into batches of each partition, in order, each of at most `maxBatchBytes` or of one record. All bytes
 * are copied: the caller may use its buffers again.
 */
export function encodeBatches(records: readonly LogRecord[], maxBatchBytes: number): readonly RecordBatch[] {
  const groups = new Map<string, Map<number, LogRecord[]>>();
  let topic: string | null = null;
  let partitions = new Map<number, LogRecord[]>();
  for (const record of records) {
    if (record.topic !== topic) {
      topic = record.topic;
      partitions = groups.get(topic) ?? new Map<number, LogRecord[]>();
      groups.set(topic, partitions);
    }
    const group = partitions.get(record.partition);
    if (group === undefined) partitions.set(record.partition, [record]);
    else group.push(record);
  }
  const timestamp = BigInt(Date.now());
  return [...groups].flatMap(([name, parts]) =>
    [...parts].flatMap(([partition, group]) =>
      encodePartition({ topic: name, partition }, group, maxBatchBytes, timestamp),
    ),
  );
}

/** Writes who sends the batch, and its checksum, which covers that. */
export function seal({ bytes }: RecordBatch, producer: ProducerIdentity | null, firstSequence: number): void {
  bytes.writeInt16BE(producer === null ? 0 : transactional, at.attributes);
  bytes.writeBigInt64BE(producer?.producerId ?? -1n, at.producerId);
  bytes.writeInt16BE(producer?.producerEpoch ?? -1, at.producerEpoch);
  bytes.writeInt32BE(producer === null ? -1 : firstSequence, at.firstSequence);
  bytes.writeUInt32BE(crc32c(bytes, at.attributes), at.crc);
}

function encodePartition(
  { topic, partition }: TopicPartition,
  records: readonly LogRecord[],
  maxBatchBytes: number,
  timestamp: bigint,
): RecordBatch[] {
  const batches: RecordBatch[] = [];
  let first = 0;
  let sizeBytes = batchHeaderBytes;
  const bodies: number[] = [];
  const finish = (end: number): void => {
    const bytes = Buffer.allocUnsafeSlow(sizeBytes);
    let offset = writeHeader(bytes, end - first, timestamp);
    for (let index = first; index < end; index += 1) {
      const record = records[index];
      invariant(record !== undefined, "a batch's records are there");
      offset = writeRecord(bytes, offset, record, index - first, bodies[index] ?? 0);
    }
    invariant(offset === sizeBytes, "a batch is as long as was counted");
    batches.push({ topic, partition, bytes, count: end - first });
    first = end;
    sizeBytes = batchHeaderBytes;
  };
  for (const [index, record] of records.entries()) {
    let body = bodySize(record, index - first);
    if (index > first && sizeBytes + varintSize(body) + body > maxBatchBytes) {
      finish(index);
      body = bodySize(record, 0);
    }
    bodies.push(body);
    sizeBytes += varintSize(body) + body;
  }
  finish(records.length);
  return batches;
}

function writeHeader(bytes: Buffer, count: number, timestamp: bigint): number {
  bytes.fill(0, 0, batchHeaderBytes);
  bytes.writeInt32BE(bytes.byteLength - at.length - 4, at.length);
  bytes.writeInt8(2, at.magic);
  bytes.writeInt32BE(count - 1, at.lastOffsetDelta);
  bytes.writeBigInt64BE(timestamp, at.firstTimestamp);
  bytes.writeBigInt64BE(timestamp, at.maxTimestamp);
  bytes.writeInt32BE(count, at.count);
  return batchHeaderBytes;
}

/** Bytes of a record after its length: attributes, timestamp delta, offset delta, key, value, headers. */
function bodySize({ key, value, headers }: LogRecord, offsetDelta: number): number {
  let size = 2 + varintSize(offsetDelta) + bytesSize(key) + bytesSize(value);
  if (headers === undefined) return size + 1;
  const names = Object.keys(headers);
  size += varintSize(names.length);
  for (const name of names) size += textSize(name) + textSize(headers[name] ?? "");
  return size;
}

function writeRecord(bytes: Buffer, start: number, record: LogRecord, offsetDelta: number, body: number): number {
  let offset = writeVarint(bytes, start, body);
  bytes[offset] = 0;
  bytes[offset + 1] = 0;
  offset = writeVarint(bytes, offset + 2, offsetDelta);
  offset = writeBytes(bytes, offset, record.key);
  offset = writeBytes(bytes, offset, record.value);
  const { headers } = record;
  if (headers === undefined) return writeVarint(bytes, offset, 0);
  const names = Object.keys(headers);
  offset = writeVarint(bytes, offset, names.length);
  for (const name of names) {
    offset = writeText(bytes, offset, name);
    offset = writeText(bytes, offset, headers[name] ?? "");
  }
  return offset;
}

function bytesSize(value: Uint8Array | null): number {
  return value === null ? 1 : varintSize(value.byteLength) + value.byteLength;
}

function textSize(text: string): number {
  const size = Buffer.byteLength(text);
  return varintSize(size) + size;
}

function writeBytes(bytes: Buffer, start: number, value: Uint8Array | null): number {
  if (value === null) return writeVarint(bytes, start, -1);
  const offset = writeVarint(bytes, start, value.byteLength);
  bytes.set(value, offset);
  return offset + value.byteLength;
}

function writeText(bytes: Buffer, start: number, text: string): number {
  const offset = writeVarint(bytes, start, Buffer.byteLength(text));
  return offset + bytes.write(text, offset, "utf8");
}

/** Zigzag, then seven bits a byte, the lowest first. */
function varintSize(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  if (zigzag < 0x80) return 1;
  if (zigzag < 0x4000) return 2;
  if (zigzag < 0x200000) return 3;
  return zigzag < 0x10000000 ? 4 : 5;
}

function writeVarint(bytes: Buffer, start: number, value: number): number {
  let zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  let offset = start;
  while (zigzag >= 0x80) {
    bytes[offset] = (zigzag & 0x7f) | 0x80;
    zigzag >>>= 7;
    offset += 1;
  }
  bytes[offset] = zigzag;
  return offset + 1;
}
