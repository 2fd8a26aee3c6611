import type { TopicPartition } from "./event-log.ts";
import type { DataTraceError } from "./errors.ts";
import type { Finding } from "./finding.ts";
import type { Row } from "./row.ts";
import type { TableName, TableSchema } from "./table-schema.ts";

/** A topic's partition with the identity of the topic it belongs to (`TopicIdentity.epoch`). */
export interface ClaimedTopicPartition extends TopicPartition {
  readonly topicEpoch: number;
}

/** The right to apply a partition: every earlier claim of it is fenced from the moment this one is committed (I2). */
export interface Claim extends TopicPartition {
  readonly epoch: bigint;
  /** Offset of the next record to apply, as stored in the target. */
  readonly next: bigint;
}

/** What happens when a table exists in the target before this delivery has made or adopted it. */
export type TableExistsStrategy = "fail" | "append";

export interface TargetTable {
  readonly target: TableName;
  readonly schema: TableSchema;
  readonly strategy: TableExistsStrategy;
}

/** Columns left out by the source: `row` has `UNCHANGED` there. Applied as UPDATE of the others; never inserts. */
export interface PartialUpdate {
  readonly row: Row;
  readonly topic: string;
  /** Avro key as in the log. */
  readonly key: Uint8Array;
  /** When there is no row to update: true = store a re-read request in this transaction, false = a full row follows anyway. */
  readonly ask: boolean;
}

/**
 * Rows that may be made at the moment when they are looked at, and must not be kept beyond it: thousands of them wait
 * in memory as bytes of the log. A list of rows is one, too. A look may throw `log.corrupt`.
 */
export interface Rows extends Iterable<Row> {
  readonly length: number;
  slice(start: number, end: number): readonly Row[];
}

/** Changes of one table, at most one per key: the last of each. Deletes and upserts of different keys commute. */
export interface TableChanges {
  readonly target: TableName;
  readonly schema: TableSchema;
  /** Full-width rows of which only the key cells count. Applied first. */
  readonly deletes: Rows;
  readonly upserts: Rows;
  readonly partials: readonly PartialUpdate[];
}

/** How far a partition gets with this unit: `loaded` must be what the target has, `next` is stored at COMMIT. */
export interface PartitionProgress extends TopicPartition {
  readonly epoch: bigint;
  readonly loaded: bigint;
  readonly next: bigint;
}

/** A change that was not applied: kept in the target, byte for byte, until somebody decides. */
export interface QuarantineEntry extends TopicPartition {
  readonly offset: bigint;
  readonly target: TableName;
  /** Avro key as in the log (schema id and body), and its text form for a person: `id=42`. */
  readonly key: Uint8Array;
  readonly keyText: string;
  readonly value: Uint8Array | null;
  readonly headers: Readonly<Record<string, string>>;
  /** Code of the error that parked the key; later changes of the key say `sink.key_parked`. */
  readonly code: string;
  /** Constraint, column, SQLSTATE: never a value (I8). */
  readonly detail: string;
  /** `parked`: later changes of this key queue behind it. `skipped`: recorded, and gone on (`skip_row`). */
  readonly state: "parked" | "skipped";
}

/** One key whose full row a sink asks the capture to publish again. */
export interface RereadRequest {
  readonly topic: string;
  readonly key: Uint8Array;
}

/** Everything of one target transaction. */
export interface ApplyUnit {
  readonly partitions: readonly PartitionProgress[];
  readonly tables: readonly TableChanges[];
  readonly quarantine: readonly QuarantineEntry[];
  /** A full row or the delete of these keys is in this unit: their open re-read requests are done. */
  readonly rereadsDone: readonly RereadRequest[];
}

export type ApplyOutcome =
  /**
   * Committed (also when the answer to COMMIT was lost and the stored offset proves it). `rereads` = partial updates
   * that found no row and were stored as requests in `_datatrace_rereads`.
   */
  | { readonly kind: "applied"; readonly rereads: readonly RereadRequest[] }
  /** Rolled back: somebody else has claimed these, or their stored offset is not `loaded`. */
  | { readonly kind: "stale"; readonly partitions: readonly TopicPartition[] }
  /**
   * Rolled back: the target refuses. `row`: one row of the unit is to blame, which the caller finds by bisecting.
   * `order`: a constraint that another key's change may resolve. `target`: no row of this table can be applied.
   */
  | { readonly kind: "rejected"; readonly scope: "row" | "order" | "target"; readonly error: DataTraceError };

/**
 * One target, seen by the delivery runtime: it only applies. Batching, retry, bisecting and the order of quarantine
 * belong to the runtime. Transient trouble is thrown as a `DataTraceError` with `retry: "timed"`, with nothing applied.
 */
export interface Sink extends AsyncDisposable {
  /** Everything that would stop this delivery of these tables. Changes nothing. */
  inspect(delivery: string, tables: readonly TargetTable[], signal: AbortSignal): Promise<readonly Finding[]>;
  /** Makes the helper tables (`_datatrace_*`) if they are missing. */
  open(signal: AbortSignal): Promise<void>;
  /**
   * Makes the target table hold this schema: creates it, or adds columns and widens. Only expands; idempotent; safe
   * when several members call it at once; an older schema than the target's changes nothing. The strategy counts once
   * per delivery and table: once this delivery has made or adopted the table, it is never asked again.
   * @throws DataTraceError `sink.table_exists` (strategy `fail`), `sink.schema_conflict` naming the column,
   * `sink.table_missing` (it was there before), `sink.grant_missing`.
   */
  prepare(delivery: string, table: TargetTable, signal: AbortSignal): Promise<void>;
  /**
   * Raises the epoch of each partition, inserting its progress at `start` where there is none, and ends transactions of
   * earlier owners that hold it. @throws DataTraceError `log.topic_recreated` when the stored topic epoch differs.
   */
  claim(
    delivery: string,
    partitions: readonly (ClaimedTopicPartition & { readonly start: bigint })[],
    signal: AbortSignal,
  ): Promise<readonly Claim[]>;
  /** Applies all of the unit in one transaction with its offsets, or nothing (I5). */
  apply(delivery: string, unit: ApplyUnit, signal: AbortSignal): Promise<ApplyOutcome>;
  /** Stored offsets of a delivery, for status. This and the next two find nothing where `open` was never called. */
  progress(delivery: string, signal: AbortSignal): Promise<readonly (TopicPartition & { readonly next: bigint })[]>;
  /** Avro keys parked by earlier units. */
  parkedKeys(
    delivery: string,
    partitions: readonly TopicPartition[],
    signal: AbortSignal,
  ): Promise<readonly (TopicPartition & { readonly key: Uint8Array })[]>;
  /** Requests stored by `apply` and not yet answered by a full row. */
  openRereads(delivery: string, signal: AbortSignal): Promise<readonly RereadRequest[]>;
  /**
   * What `decommission` would remove, in words, empty when there is nothing; then does it when `apply`. Target tables and
   * their rows stay.
   */
  decommission(delivery: string, apply: boolean, signal: AbortSignal): Promise<readonly string[]>;
}
