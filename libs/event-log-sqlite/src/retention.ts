import type { Database, Statement } from "better-sqlite3";

import type { GroupStore } from "./group-store.ts";
import { offsetOf, recordId } from "./log-schema.ts";
import type { RegistrationStore } from "./registration-store.ts";

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

interface PartitionState {
  readonly id: bigint;
  readonly topic: string;
  readonly cleanup: "delete" | "compact";
  readonly earliest: bigint;
  readonly end: bigint;
}

/** What a step may still delete. */
interface Budget {
  rows: number;
  sizeBytes: number;
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
  readonly #partitions: Statement;
  readonly #raiseEarliest: Statement;

  constructor(database: Database, registrations: RegistrationStore, groups: GroupStore) {
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
    this.#partitions = database
      .prepare(
        'SELECT p.id, t.name AS topic, t.cleanup, p.earliest, p."end" FROM partitions p JOIN topics t ON t.id = p.topic',
      )
      .safeIntegers();
    this.#raiseEarliest = database.prepare("UPDATE partitions SET earliest = max(earliest, ?) WHERE id = ?"); // I2
  }

  /** Whether a `step` would delete something. Needs no write lock. */
  hasWork(): boolean {
    if (this.#dropped.get() !== undefined) return true;
    return this.#releasable().some((partition) => this.#isWork(partition));
  }

  /** Deletes a bounded amount, from as many partitions as it takes. False when there was nothing to delete. */
  step(): boolean {
    const dropped = this.#dropped.get() as number | undefined;
    if (dropped !== undefined) {
      this.#emptyDropped(dropped);
      return true;
    }
    const left: Budget = { rows: stepLimitRows, sizeBytes: stepLimitBytes };
    let worked = false;
    // Planned inside of the transaction: a group that was registered before it is seen.
    for (const partition of this.#releasable()) {
      if (left.rows <= 0 || left.sizeBytes <= 0) break;
      if (!this.#isWork(partition)) continue;
      this.#release(partition, left);
      worked = true;
    }
    return worked;
  }

  #release({ partitionId, cleanup, below }: Releasable, left: Budget): void {
    const from = recordId(partitionId, 0n);
    const to = recordId(partitionId, below);
    if (cleanup === "compact") {
      left.rows -= this.#deleteTombstones.run(from, to).changes;
      return;
    }
    const rows = this.#firstRows(this.#batchSizes, from, to, left);
    // A row that reaches beyond the limit holds records that somebody still needs.
    const last = rows.findLast((row) => offsetOf(row.id) + row.count <= below);
    if (last === undefined) return;
    const end = offsetOf(last.id) + last.count;
    this.#deleteBatches.run(from, recordId(partitionId, end));
    this.#raiseEarliest.run(end, partitionId);
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
    const left: Budget = { rows: stepLimitRows, sizeBytes: stepLimitBytes };
    const from = recordId(partitionId, 0n);
    const to = recordId(partitionId + 1, 0n);
    const batches = this.#firstRows(this.#batchSizes, from, to, left).at(-1);
    if (batches !== undefined) {
      this.#deleteBatches.run(from, batches.id + 1n);
      return;
    }
    const latest = this.#firstRows(this.#latestSizes, from, to, left).at(-1);
    if (latest !== undefined) {
      this.#deleteLatest.run(from, latest.id + 1n);
      return;
    }
    this.#forgetDropped.run(partitionId);
  }

  #firstRows(sizes: Statement, from: bigint, to: bigint, left: Budget): RowSize[] {
    const rows: RowSize[] = [];
    for (const row of sizes.iterate(from, to) as Iterable<RowSize>) {
      rows.push(row);
      left.rows -= 1;
      left.sizeBytes -= Number(row.sizeBytes);
      if (left.rows <= 0 || left.sizeBytes <= 0) break;
    }
    return rows;
  }

  #releasable(): Releasable[] {
    const groupsOf = new Map<string, ReadonlyMap<number, bigint>[]>();
    for (const group of this.#registrations.groups()) {
      const commits = this.#groups.commits(group);
      for (const topic of this.#registrations.topics(group)) {
        const others = groupsOf.get(topic);
        if (others === undefined) groupsOf.set(topic, [commits]);
        else others.push(commits);
      }
    }
    return (this.#partitions.all() as PartitionState[]).flatMap(({ id, topic, cleanup, earliest, end }) => {
      const groups = groupsOf.get(topic) ?? [];
      // A data topic that nobody has keeps everything; of a compacted one nobody misses the tombstones.
      if (groups.length === 0 && cleanup === "delete") return [];
      const partitionId = Number(id);
      const slowest = groups
        .map((commits) => commits.get(partitionId) ?? 0n)
        .reduce((least, next) => (next < least ? next : least), end);
      return slowest > earliest ? [{ partitionId, cleanup, earliest, below: slowest }] : [];
    });
  }
}
