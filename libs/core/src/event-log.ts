/** Header values are UTF-8 text. */
export type LogHeaders = Readonly<Record<string, string>>;

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** A record to append. `key` decides compaction, never placement: the partition is always given. */
export interface LogRecord extends TopicPartition {
  /** Never null on a compacted topic: such an append is refused whole. */
  readonly key: Uint8Array | null;
  /** Null is a tombstone. */
  readonly value: Uint8Array | null;
  readonly headers?: LogHeaders;
}

/** A record as read back. Buffers may share memory with the batch they came in: copy what outlives it. */
export interface StoredRecord {
  readonly offset: bigint;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: LogHeaders;
}

/** What is at an offset of a partition, read without a group: `next` is where to go on, the same offset when nothing was there. */
export interface RecordsRead {
  readonly records: readonly StoredRecord[];
  readonly next: bigint;
}

/** Where one append put a partition's records: the offsets of the first and the last. */
export interface AppendedRange extends TopicPartition {
  readonly first: bigint;
  readonly last: bigint;
}

export interface TopicSpec {
  readonly name: string;
  readonly partitions: number;
  /** `compact` keeps at least the last record of each key, `delete` keeps by the retention of the log. */
  readonly cleanup: "delete" | "compact";
}

/** `epoch` counts how often a topic of this name was created; an offset of another epoch means nothing. */
export interface TopicIdentity extends TopicSpec {
  readonly epoch: number;
}

/**
 * `earliest` = the lowest offset that a reader may start from (a compacted topic may always be read from its first
 * offset), `end` = offset that the next record will get.
 */
export interface LogBounds {
  readonly earliest: bigint;
  readonly end: bigint;
}

/** How far a group is in one partition. `next` is null until its first `commit` there; `next === end` is caught up. */
export interface GroupProgress extends TopicPartition, LogBounds {
  readonly next: bigint | null;
}

/**
 * The right to append under a writer id. Opening one with the same id, in this process or another, fences this one:
 * its next append fails with `log.fenced` and nothing of it becomes visible (I5).
 */
export interface LogWriter extends AsyncDisposable {
  readonly id: string;
  /**
   * Appends all records or none (I5), across topics and partitions, in the order given within each partition (I4).
   * Resolves when they are durable, with one range per partition touched. One append at a time per writer.
   * @throws DataTraceError `log.fenced`, `log.full` (nothing appended), `log.locked`, `log.topic_unknown`,
   * `log.commit_unknown` (open a new writer and read back what is there; reuse of the writer is refused),
   * `log.record_too_large` and `log.grant_missing` where a broker has such limits.
   */
  append(records: readonly LogRecord[], signal?: AbortSignal): Promise<readonly AppendedRange[]>;
}

/**
 * What a reader reports, in order. `assigned` partitions deliver nothing until `seek` was called for each. After
 * `revoked` nothing more of that partition arrives. `batch` holds consecutive records of one partition; `next` is the
 * offset to go on from (it may be past the last record + 1: offsets have gaps on some logs).
 */
export type ReaderEvent =
  | { readonly kind: "assigned"; readonly partitions: readonly TopicPartition[] }
  | { readonly kind: "revoked"; readonly partitions: readonly TopicPartition[] }
  | ({
      readonly kind: "batch";
      readonly records: readonly StoredRecord[];
      readonly next: bigint;
      /** About what the records hold in memory. */
      readonly sizeBytes: number;
    } & TopicPartition);

/**
 * A member of a group. Every partition of its topics is read by at least one live member, for a moment perhaps by two:
 * who may apply is decided in the target, not here.
 */
export interface LogReader extends AsyncDisposable {
  /**
   * The next events, as soon as there is at least one; waits otherwise. Only committed records are seen (I5). A
   * partition that is paused, or whose last batch was not yet followed by another `poll`, never holds back another.
   * @throws DataTraceError `log.out_of_range` when a partition's position is below the earliest or above the end:
   * never reset silently. That partition stands still until it is sought again; the others go on with the next `poll`.
   * The signal's reason when aborted; that loses nothing.
   */
  poll(signal: AbortSignal): Promise<readonly ReaderEvent[]>;
  /**
   * Sets the offset of the next record of an assigned partition, and starts it. Batches fetched before are dropped.
   * `seek`, `pause` and `resume` do nothing for a partition that is not assigned (any more).
   */
  seek(partition: TopicPartition, offset: bigint): void;
  pause(partitions: readonly TopicPartition[]): void;
  resume(partitions: readonly TopicPartition[]): void;
  /** Replaces the set of topics; assignment events follow. */
  setTopics(topics: readonly string[]): Promise<void>;
  /** Tells the log that the group has durably applied everything below `next`: a hint for lag tools and for retention. */
  commit(partition: TopicPartition, next: bigint): Promise<void>;
}

/**
 * Topics of ordered, durable records. Two implementations: one SQLite file, and Kafka. Both pass `describeEventLog`.
 */
export interface EventLog extends AsyncDisposable {
  /**
   * Creates the topic, or checks that it is there as asked. Idempotent.
   * @throws DataTraceError `log.partitions_changed` when it exists with another partition count or cleanup,
   * `log.topic_settings` when it has a setting that does not keep what is relied on.
   */
  ensureTopic(spec: TopicSpec, signal?: AbortSignal): Promise<TopicIdentity>;
  /** Null when there is no such topic. */
  topic(name: string, signal?: AbortSignal): Promise<TopicIdentity | null>;
  /** Names of all topics that start with `prefix`, sorted. */
  topics(prefix: string, signal?: AbortSignal): Promise<readonly string[]>;
  /** Fences every earlier writer of this id before it resolves. */
  openWriter(id: string, signal?: AbortSignal): Promise<LogWriter>;
  /**
   * Makes the group known, with its topics, so that retention keeps what it has not applied. Idempotent; `removeGroup`
   * forgets it. `topics` replaces what was registered before; opening a reader adds its topics. A topic need not exist
   * yet: its partitions join when it is created.
   */
  registerGroup(group: string, topics: readonly string[], signal?: AbortSignal): Promise<void>;
  /**
   * Forgets the group and how far it is. Idempotent; one that was cut off leaves the group registered, or nothing.
   * @throws DataTraceError `log.group_in_use` while a member is alive: then nothing is forgotten.
   */
  removeGroup(group: string, signal?: AbortSignal): Promise<void>;
  /** One entry per existing partition of the topics that are registered for the group, sorted. For lag and status. */
  groupProgress(group: string, signal?: AbortSignal): Promise<readonly GroupProgress[]>;
  openReader(group: string, topics: readonly string[], signal?: AbortSignal): Promise<LogReader>;
  /**
   * The last record of each key of a compacted topic, tombstoned keys left out, in offset order, up to what was
   * committed when the call began.
   */
  latestByKey(topic: string, signal?: AbortSignal): Promise<readonly StoredRecord[]>;
  /** @throws DataTraceError `log.topic_unknown`. */
  bounds(partition: TopicPartition, signal?: AbortSignal): Promise<LogBounds>;
  /** Removes topics and all their records. Asked for by `decommission` only; a later `ensureTopic` raises the epoch. */
  deleteTopics(names: readonly string[], signal?: AbortSignal): Promise<void>;
}

/** Schemas by global id, as in a Confluent-compatible registry. Both implementations pass `describeSchemaRegistry`. */
export interface SchemaRegistry {
  /** Registers `schema` (Avro as JSON text) under the subject, or finds it there: the same schema has one id. */
  register(subject: string, schema: string, signal?: AbortSignal): Promise<number>;
  /** @throws DataTraceError `registry.schema_unknown`. */
  byId(id: number, signal?: AbortSignal): Promise<string>;
}
