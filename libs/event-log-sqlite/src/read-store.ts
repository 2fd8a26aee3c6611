import { crc32 } from "node:zlib";

import { DataTraceError } from "@datatrace/core";
import type { TopicPartition } from "@datatrace/core";
import type { Database, Statement } from "better-sqlite3";

import { offsetOf, recordId } from "./log-schema.ts";
import type { FetchedPart, FetchPosition } from "./protocol.ts";
import type { RecordRun } from "./record-frame.ts";
import type { PartitionRow, TopicStore } from "./topic-store.ts";

/** Enough to keep a reader busy, little enough to hold for many partitions. One row may be larger. */
const partLimitBytes = 1024 * 1024;
const fetchLimitBytes = 4 * 1024 * 1024;

interface BatchRow {
  readonly id: bigint;
  readonly count: bigint;
  readonly crc32: bigint;
  readonly frames: Buffer;
}

interface Fetched {
  readonly run: RecordRun;
  readonly next: bigint;
}

interface LatestRow {
  readonly id: bigint;
  readonly frame: Buffer;
}

/** Reads records of the log's file, inside of a transaction that the caller holds. */
export class ReadStore {
  readonly #topics: TopicStore;
  readonly #batches: Statement;
  readonly #latest: Statement;
  readonly #latestByKey: Statement;
  readonly #ends: Statement;

  constructor(database: Database, topics: TopicStore) {
    this.#topics = topics;
    this.#ends = database.prepare('SELECT id, "end" FROM partitions').safeIntegers();
    // Starts with the row that the first offset lies in.
    this.#batches = database
      .prepare(`
        SELECT id, count, crc32, frames FROM batches
        WHERE id >= (SELECT max(id) FROM batches WHERE id <= ?) AND id < ? ORDER BY id`)
      .safeIntegers();
    this.#latest = database.prepare("SELECT id, frame FROM latest WHERE id >= ? AND id < ? ORDER BY id").safeIntegers();
    this.#latestByKey = database
      .prepare("SELECT id, frame FROM latest WHERE id >= ? AND id < ? AND tombstone = 0 ORDER BY id")
      .safeIntegers();
  }

  /**
   * What there is at these positions, in their order, up to a limit; partitions without news are left out. Not
   * `complete` when some were not looked at because of the limit.
   */
  fetch(positions: readonly FetchPosition[]): { readonly parts: FetchedPart[]; readonly complete: boolean } {
    const parts: FetchedPart[] = [];
    let leftBytes = fetchLimitBytes;
    for (const { partitionId, offset, turn } of positions) {
      if (leftBytes <= 0) return { parts, complete: false };
      const row = this.#topics.partitionById(partitionId);
      if (row === null || offset === row.end) continue;
      if (offset < row.earliest || offset > row.end) {
        parts.push({ partitionId, turn, outOfRange: { earliest: row.earliest, end: row.end } });
        continue;
      }
      const { run, next } = row.cleanup === "delete" ? this.#fetchBatches(row, offset) : this.#fetchLatest(row, offset);
      parts.push({ partitionId, turn, run, next });
      leftBytes -= run.frames.byteLength;
    }
    return { parts, complete: true };
  }

  /** What there is at one offset. @throws DataTraceError `log.out_of_range`. */
  at(place: TopicPartition, partitionId: number, offset: bigint): { readonly run: RecordRun; readonly next: bigint } {
    const [part] = this.fetch([{ partitionId, offset, turn: 0 }]).parts;
    if (part === undefined) return { run: latestRun([]), next: offset };
    if ("outOfRange" in part) {
      throw new DataTraceError("log.out_of_range", { detail: { ...place, offset: offset.toString() } });
    }
    return { run: part.run, next: part.next };
  }

  /** The end of every partition, by id: one query, however many readers wait for however many partitions. */
  ends(): ReadonlyMap<number, bigint> {
    const rows = this.#ends.all() as { id: bigint; end: bigint }[];
    return new Map(rows.map(({ id, end }) => [Number(id), end]));
  }

  /** Tombstoned keys left out, partition by partition, in offset order. */
  latestByKey(partitionIds: readonly number[]): RecordRun {
    const rows = partitionIds.flatMap(
      (id) => this.#latestByKey.all(recordId(id, 0n), recordId(id + 1, 0n)) as LatestRow[],
    );
    return latestRun(rows);
  }

  #fetchBatches(row: PartitionRow, offset: bigint): Fetched {
    const rows: BatchRow[] = [];
    let sizeBytes = 0;
    for (const batch of this.#batches.iterate(
      recordId(row.id, offset),
      recordId(row.id, row.end),
    ) as Iterable<BatchRow>) {
      if (rows.length > 0 && sizeBytes + batch.frames.byteLength > partLimitBytes) break;
      if (crc32(batch.frames) !== Number(batch.crc32)) {
        throw new DataTraceError("log.corrupt", {
          detail: { partitionId: row.id, offset: offsetOf(batch.id).toString() },
        });
      }
      rows.push(batch);
      sizeBytes += batch.frames.byteLength;
    }
    const [first] = rows;
    const last = rows.at(-1);
    if (first === undefined || last === undefined || first.id < recordId(row.id, 0n)) {
      throw new DataTraceError("log.corrupt", { detail: { partitionId: row.id, offset: offset.toString() } });
    }
    const base = offsetOf(first.id);
    const next = offsetOf(last.id) + last.count;
    const frames = joined(rows.map((batch) => batch.frames));
    return { run: { base, count: Number(next - base), offsets: null, frames }, next };
  }

  #fetchLatest(row: PartitionRow, offset: bigint): Fetched {
    const rows: LatestRow[] = [];
    let sizeBytes = 0;
    let next = row.end;
    for (const record of this.#latest.iterate(
      recordId(row.id, offset),
      recordId(row.id, row.end),
    ) as Iterable<LatestRow>) {
      if (rows.length > 0 && sizeBytes + record.frame.byteLength > partLimitBytes) {
        next = offsetOf(record.id);
        break;
      }
      rows.push(record);
      sizeBytes += record.frame.byteLength;
    }
    return { run: latestRun(rows), next };
  }
}

function latestRun(rows: readonly LatestRow[]): RecordRun {
  const offsets = BigInt64Array.from(rows, (row) => offsetOf(row.id));
  return { base: offsets[0] ?? 0n, count: rows.length, offsets, frames: joined(rows.map((row) => row.frame)) };
}

/** One buffer that is not pooled, so that it can be handed to another thread instead of copied. */
function joined(buffers: readonly Buffer[]): Uint8Array {
  const joint = Buffer.allocUnsafeSlow(buffers.reduce((sum, buffer) => sum + buffer.byteLength, 0));
  let at = 0;
  for (const buffer of buffers) at += buffer.copy(joint, at);
  return joint;
}
