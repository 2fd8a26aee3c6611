import { crc32 } from "node:zlib";

import { DataTraceError, failpoint, invariant } from "@datatrace/core";
import type { AppendedRange } from "@datatrace/core";
import type { Database, Statement } from "better-sqlite3";

import type { AppendPart, PackedAppend } from "./append-pack.ts";
import { offsetLimit, recordId } from "./log-schema.ts";
import { frameBounds } from "./record-frame.ts";
import type { Space } from "./space.ts";
import type { PartitionRow, TopicStore } from "./topic-store.ts";

interface Touched {
  readonly row: PartitionRow;
  readonly topic: string;
  readonly partition: number;
  end: bigint;
}

/** What one append did, for its caller and for the readers that wait. */
export interface Appended {
  readonly ranges: readonly AppendedRange[];
  readonly partitionIds: readonly number[];
}

/** Writers and their appends in the log's file. Every method is one step of a transaction that the caller holds. */
export class AppendStore {
  readonly #topics: TopicStore;
  readonly #space: Space;
  readonly #raiseEpoch: Statement;
  readonly #epoch: Statement;
  readonly #addBatch: Statement;
  readonly #putLatest: Statement;
  readonly #setEnd: Statement;

  constructor(database: Database, topics: TopicStore, space: Space) {
    this.#topics = topics;
    this.#space = space;
    this.#raiseEpoch = database
      .prepare(
        "INSERT INTO writers (id, epoch) VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET epoch = epoch + 1 RETURNING epoch", // I2
      )
      .pluck();
    this.#epoch = database.prepare("SELECT epoch FROM writers WHERE id = ?").pluck();
    this.#addBatch = database.prepare("INSERT INTO batches (id, count, crc32, frames) VALUES (?, ?, ?, ?)");
    this.#putLatest = database.prepare(`
      INSERT INTO latest (id, partition, key, tombstone, frame) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (partition, key) DO UPDATE
        SET id = excluded.id, tombstone = excluded.tombstone, frame = excluded.frame`);
    this.#setEnd = database.prepare('UPDATE partitions SET "end" = ? WHERE id = ?');
  }

  openWriter(id: string): number {
    return this.#raiseEpoch.get(id) as number;
  }

  /** @throws DataTraceError `log.fenced`, `log.full`, `log.topic_unknown`. */
  append(writer: string, epoch: number, { parts, bytes }: PackedAppend): Appended {
    // I2: an older epoch never appends again.
    if (this.#epoch.get(writer) !== epoch) throw new DataTraceError("log.fenced", { detail: { writer } });
    const frames = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const touched = new Map<string, Map<number, Touched>>();
    const rows = parts.map((part) => ({ part, target: this.#touch(touched, part) }));
    const dataSizes = rows
      .filter(({ target }) => target.row.cleanup === "delete")
      .map(({ part }) => part.end - part.start);
    if (dataSizes.length > 0) this.#space.demand(dataSizes);
    for (const [index, { part, target }] of rows.entries()) {
      if (index > 0) failpoint("log.mid_append");
      const slice = frames.subarray(part.start, part.end);
      if (target.row.cleanup === "delete") this.#appendBatch(target, part.count, slice);
      else this.#appendLatest(target, part.count, slice);
    }
    const all = [...touched.values()].flatMap((partitions) => [...partitions.values()]);
    for (const { row, end } of all) {
      invariant(end < offsetLimit, "a partition's offsets fit into its row ids");
      this.#setEnd.run(end, row.id);
    }
    failpoint("log.before_commit");
    return {
      ranges: all.map(({ topic, partition, row, end }) => ({ topic, partition, first: row.end, last: end - 1n })),
      partitionIds: all.map(({ row }) => row.id),
    };
  }

  #touch(touched: Map<string, Map<number, Touched>>, { topic, partition }: AppendPart): Touched {
    let partitions = touched.get(topic);
    if (partitions === undefined) {
      partitions = new Map();
      touched.set(topic, partitions);
    }
    let target = partitions.get(partition);
    if (target === undefined) {
      const row = this.#topics.partition({ topic, partition });
      target = { row, topic, partition, end: row.end };
      partitions.set(partition, target);
    }
    return target;
  }

  #appendBatch(target: Touched, count: number, frames: Buffer): void {
    this.#addBatch.run(recordId(target.row.id, target.end), count, crc32(frames), frames);
    target.end += BigInt(count);
  }

  #appendLatest(target: Touched, count: number, frames: Buffer): void {
    let at = 0;
    for (let index = 0; index < count; index += 1) {
      const frame = frameBounds(frames, at);
      invariant(!frame.keyNull, "a record of a compacted topic has a key");
      const key = frames.subarray(frame.keyStart, frame.keyEnd);
      const tombstone = frame.valueNull ? 1 : 0;
      this.#putLatest.run(
        recordId(target.row.id, target.end),
        target.row.id,
        key,
        tombstone,
        frames.subarray(at, frame.end),
      );
      target.end += 1n;
      at = frame.end;
    }
  }
}
