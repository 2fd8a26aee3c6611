import type { Database, Statement } from "better-sqlite3";

import type { GroupStore } from "./group-store.ts";
import { offsetOf, recordId } from "./log-schema.ts";
import type { RegistrationStore } from "./registration-store.ts";
import type { TopicStore } from "./topic-store.ts";

/** One step frees at most this much, so that an append never waits long behind it. */
const stepLimitBytes = 8 * 1024 * 1024;
const stepLimitRows = 500;

/** A partition and the offset below which every registered group is done. */
interface Releasable {
  readonly partitionId: number;
  readonly cleanup: "delete" | "compact";
  readonly earliest: bigint;
  readonly below: bigint;
}

interface RowSize {
  readonly id: bigint;
  readonly count: bigint;
  readonly sizeBytes: bigint;
}

/**
 * Deletes what nobody needs any more, step by step: records of data topics that every group which has the topic has
 * applied, tombstones that every such group has passed, and what is left of deleted topics. A data topic that no group
 * has keeps everything. Every method is one step of a transaction on the log's file that the caller holds.
 */
export class Retention {
  readonly #topics: TopicStore;
  readonly #registrations: RegistrationStore;
  readonly #groups: GroupStore;
  readonly #dropped: Statement;
  readonly #forgetDropped: Statement;
  readonly #batchSizes: Statement;
  readonly #deleteBatches: Statement;
  readonly #latestSizes: Statement;
  readonly #deleteLatest: Statement;
  readonly #tombstones: Statement;
  readonly #deleteTombstones: Statement;
  readonly #compactTopics: Statement;
  readonly #raiseEarliest: Statement;

  constructor(database: Database, topics: TopicStore, registrations: RegistrationStore, groups: GroupStore) {
    this.#topics = topics;
    this.#registrations = registrations;
    this.#groups = groups;
    this.#dropped = database.prepare("SELECT id FROM dropped_partitions LIMIT 1").pluck();
    this.#forgetDropped = database.prepare("DELETE FROM dropped_partitions WHERE id = ?");
    this.#batchSizes = database
      .prepare("SELECT id, count, length(frames) AS sizeBytes FROM batches WHERE id >= ? AND id < ? ORDER BY id")
      .safeIntegers();
    this.#deleteBatches = database.prepare("DELETE FROM batches WHERE id >= ? AND id < ?");
    this.#latestSizes = database
      .prepare("SELECT id, 1 AS count, length(frame) AS sizeBytes FROM latest WHERE id >= ? AND id < ? ORDER BY id")
      .safeIntegers();
    this.#deleteLatest = database.prepare("DELETE FROM latest WHERE id >= ? AND id < ?");
    const tombstones = "FROM latest WHERE tombstone = 1 AND id >= ? AND id < ?";
    this.#tombstones = database.prepare(`SELECT EXISTS (SELECT 1 ${tombstones})`).pluck();
    this.#deleteTombstones = database.prepare(
      `DELETE FROM latest WHERE id IN (SELECT id ${tombstones} LIMIT ${stepLimitRows})`,
    );
    this.#compactTopics = database.prepare("SELECT name FROM topics WHERE deleted = 0 AND cleanup = 'compact'").pluck();
    this.#raiseEarliest = database.prepare("UPDATE partitions SET earliest = max(earliest, ?) WHERE id = ?"); // I2
  }

  /** Whether a `step` would delete something. Needs no write lock. */
  hasWork(): boolean {
    if (this.#dropped.get() !== undefined) return true;
    return this.#releasable().some((partition) => this.#isWork(partition));
  }

  /** Deletes a bounded amount. False when nothing was left to delete. */
  step(): boolean {
    const dropped = this.#dropped.get() as number | undefined;
    if (dropped !== undefined) {
      this.#emptyDropped(dropped);
      return true;
    }
    const partition = this.#releasable().find((one) => this.#isWork(one));
    if (partition === undefined) return false;
    const from = recordId(partition.partitionId, 0n);
    const to = recordId(partition.partitionId, partition.below);
    if (partition.cleanup === "compact") {
      this.#deleteTombstones.run(from, to);
      return true;
    }
    const rows = this.#firstRows(this.#batchSizes, from, to);
    // A row that reaches beyond the limit holds records that somebody still needs.
    const last = rows.findLast((row) => offsetOf(row.id) + row.count <= partition.below);
    if (last === undefined) return false;
    const end = offsetOf(last.id) + last.count;
    this.#deleteBatches.run(from, recordId(partition.partitionId, end));
    this.#raiseEarliest.run(end, partition.partitionId);
    return true;
  }

  #isWork({ partitionId, cleanup, earliest, below }: Releasable): boolean {
    const from = recordId(partitionId, 0n);
    const to = recordId(partitionId, below);
    if (cleanup === "compact") return this.#tombstones.get(from, to) === 1;
    if (below <= earliest) return false;
    for (const row of this.#batchSizes.iterate(from, to) as Iterable<RowSize>)
      return offsetOf(row.id) + row.count <= below;
    return false;
  }

  #emptyDropped(partitionId: number): void {
    const from = recordId(partitionId, 0n);
    const to = recordId(partitionId + 1, 0n);
    const batches = this.#firstRows(this.#batchSizes, from, to).at(-1);
    if (batches !== undefined) {
      this.#deleteBatches.run(from, batches.id + 1n);
      return;
    }
    const latest = this.#firstRows(this.#latestSizes, from, to).at(-1);
    if (latest !== undefined) {
      this.#deleteLatest.run(from, latest.id + 1n);
      return;
    }
    this.#forgetDropped.run(partitionId);
  }

  #firstRows(sizes: Statement, from: bigint, to: bigint): RowSize[] {
    const rows: RowSize[] = [];
    let sizeBytes = 0n;
    for (const row of sizes.iterate(from, to) as Iterable<RowSize>) {
      rows.push(row);
      sizeBytes += row.sizeBytes;
      if (rows.length >= stepLimitRows || sizeBytes >= stepLimitBytes) break;
    }
    return rows;
  }

  #releasable(): Releasable[] {
    const slowest = new Map<number, bigint>();
    const registered = new Set<string>();
    for (const group of this.#registrations.groups()) {
      const topics = this.#registrations.topics(group);
      const commits = this.#groups.commits(group);
      for (const topic of topics) registered.add(topic);
      for (const { id } of this.#topics.partitionsOf(topics)) {
        const next = commits.get(id) ?? 0n;
        const before = slowest.get(id);
        if (before === undefined || next < before) slowest.set(id, next);
      }
    }
    const unread = (this.#compactTopics.all() as string[]).filter((topic) => !registered.has(topic));
    const releasable: Releasable[] = [];
    for (const { id } of this.#topics.partitionsOf([...registered, ...unread])) {
      const row = this.#topics.partitionById(id);
      if (row === null) continue;
      const next = slowest.get(id) ?? row.end;
      const below = next < row.end ? next : row.end;
      releasable.push({ partitionId: id, cleanup: row.cleanup, earliest: row.earliest, below });
    }
    return releasable;
  }
}
