import { DataTraceError, invariant } from "@datatrace/core";
import type { LogBounds, TopicIdentity, TopicPartition, TopicSpec } from "@datatrace/core";
import type { Database, Statement } from "better-sqlite3";

interface TopicRow {
  readonly id: number;
  readonly name: string;
  readonly epoch: number;
  readonly partitions: number;
  readonly cleanup: "delete" | "compact";
  readonly deleted: number;
}

/** A partition as the log's file knows it. */
export interface PartitionRow {
  readonly id: number;
  readonly cleanup: "delete" | "compact";
  readonly earliest: bigint;
  readonly end: bigint;
}

/** Topics and partitions in the log's file. Every method is one step of a transaction that the caller holds. */
export class TopicStore {
  readonly #topic: Statement;
  readonly #names: Statement;
  readonly #put: Statement;
  readonly #addPartition: Statement;
  readonly #partition: Statement;
  readonly #partitionById: Statement;
  readonly #partitionsOf: Statement;
  readonly #markDeleted: Statement;
  readonly #dropPartitions: Statement;
  readonly #removePartitions: Statement;
  readonly #raiseVersion: Statement;
  readonly #version: Statement;

  constructor(database: Database) {
    this.#topic = database.prepare("SELECT id, name, epoch, partitions, cleanup, deleted FROM topics WHERE name = ?");
    this.#names = database
      .prepare("SELECT name FROM topics WHERE deleted = 0 AND substr(name, 1, length(:prefix)) = :prefix ORDER BY name")
      .pluck();
    this.#put = database.prepare(`
      INSERT INTO topics (name, epoch, partitions, cleanup) VALUES (?, 1, ?, ?)
      ON CONFLICT (name) DO UPDATE
        SET epoch = epoch + 1, partitions = excluded.partitions, cleanup = excluded.cleanup, deleted = 0
      RETURNING id, name, epoch, partitions, cleanup, deleted`); // I2
    this.#addPartition = database.prepare("INSERT INTO partitions (topic, partition) VALUES (?, ?)");
    const columns = 'SELECT p.id, t.cleanup, p.earliest, p."end" FROM partitions p JOIN topics t ON t.id = p.topic';
    this.#partition = database.prepare(`${columns} WHERE t.name = ? AND p.partition = ?`).safeIntegers();
    this.#partitionById = database.prepare(`${columns} WHERE p.id = ?`).safeIntegers();
    this.#partitionsOf = database.prepare(`
      SELECT t.name AS topic, p.partition, p.id FROM partitions p JOIN topics t ON t.id = p.topic
      WHERE t.name IN (SELECT value FROM json_each(?)) ORDER BY t.name, p.partition`);
    this.#markDeleted = database.prepare("UPDATE topics SET deleted = 1 WHERE id = ?");
    this.#dropPartitions = database.prepare(
      "INSERT INTO dropped_partitions (id) SELECT id FROM partitions WHERE topic = ?",
    );
    this.#removePartitions = database.prepare("DELETE FROM partitions WHERE topic = ?");
    this.#raiseVersion = database.prepare("UPDATE meta SET value = value + 1 WHERE name = 'topics_version'");
    this.#version = database.prepare("SELECT value FROM meta WHERE name = 'topics_version'").pluck();
  }

  find(name: string): TopicIdentity | null {
    const row = this.#topic.get(name) as TopicRow | undefined;
    return row === undefined || row.deleted === 1 ? null : identity(row);
  }

  names(prefix: string): readonly string[] {
    return this.#names.all({ prefix }) as string[];
  }

  /** The topic, if it is there as asked; null if it is not there. @throws DataTraceError `log.partitions_changed`. */
  check(spec: TopicSpec): TopicIdentity | null {
    const existing = this.find(spec.name);
    if (existing === null) return null;
    if (existing.partitions === spec.partitions && existing.cleanup === spec.cleanup) return existing;
    throw new DataTraceError("log.partitions_changed", {
      detail: {
        topic: spec.name,
        partitions: existing.partitions,
        cleanup: existing.cleanup,
        wanted: `${spec.partitions} ${spec.cleanup}`,
      },
    });
  }

  /** @throws DataTraceError `log.partitions_changed`. */
  ensure(spec: TopicSpec): TopicIdentity {
    invariant(Number.isSafeInteger(spec.partitions) && spec.partitions > 0, "a topic has at least one partition");
    const existing = this.check(spec);
    if (existing !== null) return existing;
    const row = this.#put.get(spec.name, spec.partitions, spec.cleanup) as TopicRow;
    for (let partition = 0; partition < spec.partitions; partition += 1) this.#addPartition.run(row.id, partition);
    this.#raiseVersion.run();
    return identity(row);
  }

  /** The records are gone at once for every reader; their space is freed in the background. */
  remove(name: string): void {
    const row = this.#topic.get(name) as TopicRow | undefined;
    if (row === undefined || row.deleted === 1) return;
    this.#markDeleted.run(row.id);
    this.#dropPartitions.run(row.id);
    this.#removePartitions.run(row.id);
    this.#raiseVersion.run();
  }

  /** @throws DataTraceError `log.topic_unknown`. */
  partition({ topic, partition }: TopicPartition): PartitionRow {
    const row = this.#partition.get(topic, partition) as RawPartition | undefined;
    if (row === undefined) throw new DataTraceError("log.topic_unknown", { detail: { topic, partition } });
    return partitionRow(row);
  }

  /** Null once the topic was deleted. */
  partitionById(id: number): PartitionRow | null {
    const row = this.#partitionById.get(id) as RawPartition | undefined;
    return row === undefined ? null : partitionRow(row);
  }

  bounds(partition: TopicPartition): LogBounds {
    const { earliest, end } = this.partition(partition);
    return { earliest, end };
  }

  /** The partitions of those topics that exist, sorted by topic and number. */
  partitionsOf(topics: readonly string[]): readonly (TopicPartition & { readonly id: number })[] {
    return this.#partitionsOf.all(JSON.stringify(topics)) as (TopicPartition & { id: number })[];
  }

  /** Raised whenever a topic is created or deleted, by any process. */
  version(): number {
    return this.#version.get() as number;
  }
}

interface RawPartition {
  readonly id: bigint;
  readonly cleanup: "delete" | "compact";
  readonly earliest: bigint;
  readonly end: bigint;
}

function partitionRow(row: RawPartition): PartitionRow {
  return { id: Number(row.id), cleanup: row.cleanup, earliest: row.earliest, end: row.end };
}

function identity(row: TopicRow): TopicIdentity {
  return { name: row.name, epoch: row.epoch, partitions: row.partitions, cleanup: row.cleanup };
}
