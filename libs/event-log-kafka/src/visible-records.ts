import { gunzipSync, zstdDecompressSync } from "node:zlib";

import { DataTraceError } from "@datatrace/core";
import type { StoredRecord } from "@datatrace/core";

import { crc32c } from "./crc32c.ts";
import type { AbortedTransaction, FetchAnswer } from "./fetch-request.ts";
import { batchHeaderBytes } from "./record-batch.ts";
import { readRecords } from "./stored-records.ts";

const flags = { compression: 0x07, transactional: 0x10, control: 0x20 } as const;
/** By their numbers in a batch's attributes. */
const codecs: ReadonlyMap<number, (body: Buffer) => Buffer> = new Map([
  [0, (body: Buffer) => body],
  [1, (body: Buffer) => gunzipSync(body)],
  [4, (body: Buffer) => zstdDecompressSync(body)],
]);
/** Of the key of a control record. */
const abortMarker = 0;

/** What a reader may see of an answer, and where it goes on: past markers and aborted records, too. */
export interface VisibleRecords {
  readonly records: readonly StoredRecord[];
  readonly next: bigint;
}

/**
 * Decodes the records from `offset` on, checksums included. Leaves out what was aborted (I5): transactions of several writers lie between
 * each other, so the aborted ones are taken in the order of their first offsets, all up to the batch at hand, each until
 * its own marker.
 * @throws DataTraceError `log.corrupt`, `log.compression_unsupported`.
 */
export function visibleRecords({ topic, partition, aborted, bytes }: FetchAnswer, offset: bigint): VisibleRecords {
  const waiting = aborted.toSorted((one, other) => (one.firstOffset < other.firstOffset ? -1 : 1));
  const open = new Set<bigint>();
  const records: StoredRecord[] = [];
  let next = offset;
  let at = 0;
  while (at + batchHeaderBytes <= bytes.byteLength) {
    const end = at + 12 + bytes.readInt32BE(at + 8);
    // The limit of an answer cuts its last batch off.
    if (end > bytes.byteLength) break;
    const base = bytes.readBigInt64BE(at);
    const last = base + BigInt(bytes.readInt32BE(at + 23));
    const attributes = bytes.readInt16BE(at + 21);
    if (bytes.readUInt32BE(at + 17) !== crc32c(bytes.subarray(at, end), 21)) {
      throw new DataTraceError("log.corrupt", { detail: { topic, partition, offset: base.toString() } });
    }
    const producer = bytes.readBigInt64BE(at + 43);
    begin(waiting, last, open);
    if ((attributes & flags.control) !== 0) {
      if (markerType(bytes, at) === abortMarker) open.delete(producer);
    } else if ((attributes & flags.transactional) === 0 || !open.has(producer)) {
      const count = bytes.readInt32BE(at + 57);
      const body = inflate(bytes.subarray(at + batchHeaderBytes, end), attributes & flags.compression, {
        topic,
        partition,
      });
      readRecords(body, base, count, offset, records);
    }
    if (last >= next) next = last + 1n;
    at = end;
  }
  return { records, next };
}

function begin(waiting: AbortedTransaction[], last: bigint, open: Set<bigint>): void {
  for (let first = waiting[0]; first !== undefined && first.firstOffset <= last; first = waiting[0]) {
    open.add(first.producerId);
    waiting.shift();
  }
}

/** A control batch holds one record; its key is a version and a type. */
function markerType(bytes: Buffer, batch: number): number {
  const [record] = readRecords(bytes.subarray(batch + batchHeaderBytes), 0n, 1, 0n, []);
  return Buffer.from(record?.key ?? []).readInt16BE(2);
}

function inflate(body: Buffer, compression: number, place: { topic: string; partition: number }): Buffer {
  const codec = codecs.get(compression);
  if (codec === undefined) {
    const name = compression === 2 ? "snappy" : compression === 3 ? "lz4" : compression;
    throw new DataTraceError("log.compression_unsupported", { detail: { ...place, compression: name } });
  }
  try {
    return codec(body);
  } catch (error) {
    throw new DataTraceError("log.corrupt", { cause: error, detail: place });
  }
}
