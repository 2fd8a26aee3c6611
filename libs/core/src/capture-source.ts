import type { Brand } from "./brand.ts";
import type { DataTraceError } from "./errors.ts";
import type { Finding } from "./finding.ts";
import type { Row } from "./row.ts";
import type { TableName, TableSchema } from "./table-schema.ts";

/** A place in the source's own log. Only the source that made it reads it; everyone else stores and hands it back. */
export type Position = Brand<string, "Position">;

/** Avro type of a connector's own fields in the envelope's `source` block, all but the last two nullable with default null. */
export interface SourceField {
  readonly name: string;
  readonly type: "string" | "long" | "int" | "nullable-string" | "nullable-long";
}

/** What the event contract must know about a connector. The source block is the common fields, then `fields`. */
export interface SourceDescriptor {
  /** `postgresql`, `mysql`, `sqlite`, `elasticsearch`: `source.connector`, and the last part of the block's namespace. */
  readonly connector: string;
  /** Database name: `source.db`. */
  readonly database: string;
  readonly fields: readonly SourceField[];
}

/** Where a change came from: what fills the envelope's `source` block. */
export interface ChangeOrigin {
  /** Commit time in microseconds since the epoch; for a snapshot row the time it was read. */
  readonly tsUs: number;
  /** Debezium's `sequence` text, or null. */
  readonly sequence: string | null;
  /** Aligned with `SourceDescriptor.fields`. */
  readonly fields: readonly (string | number | bigint | null)[];
}

/** One raw change of one row. `schema` is the version of the table that the row is aligned with. */
export type RowChange =
  | { readonly kind: "insert"; readonly schema: TableSchema; readonly after: Row; readonly origin: ChangeOrigin }
  | {
      readonly kind: "update";
      readonly schema: TableSchema;
      /** The full old row where the source has it, else null. */
      readonly before: Row | null;
      /** Old row with at least the key columns when the key may have changed; other cells null. Null = key not changed. */
      readonly oldKey: Row | null;
      readonly after: Row;
      readonly origin: ChangeOrigin;
    }
  | {
      readonly kind: "delete";
      readonly schema: TableSchema;
      /** At least the key columns; `beforeIsFull` tells whether the rest is there too. */
      readonly before: Row;
      readonly beforeIsFull: boolean;
      readonly origin: ChangeOrigin;
    };

/**
 * What a stream yields, in commit order. Positions are counted over row changes, truncates and watermarks alike.
 * A stream that goes on inside a transaction begins with its `begin` again. Transactions without an event are left out.
 */
export type SourceEvent =
  | { readonly kind: "begin"; readonly txId: bigint; readonly commitTsUs: number }
  | RowChange
  | { readonly kind: "truncate"; readonly tables: readonly TableName[]; readonly origin: ChangeOrigin }
  /** A watermark of ours has come back, with the id it was written with. */
  | { readonly kind: "watermark"; readonly id: string }
  /** From here on this table cannot be followed (a DDL that is not carried, say); the other tables go on. */
  | { readonly kind: "table-lost"; readonly table: TableName; readonly error: DataTraceError }
  | { readonly kind: "commit"; readonly txId: bigint };

/**
 * Consecutive events and the position after them. A batch may end inside a transaction, never inside a raw change.
 * An empty batch carries only a newer position: nothing was open and nothing was pending (an idle heartbeat).
 */
export interface SourceBatch {
  readonly events: readonly SourceEvent[];
  readonly position: Position;
  /** Roughly, of what the source sent for these events. */
  readonly sizeBytes: number;
}

/** Which transactions a read could see (PostgreSQL: `pg_current_snapshot()`). A source where commit order is visibility order answers true. */
export interface SnapshotView {
  sees(txId: bigint): boolean;
}

/** A table as the source has it today. */
export interface TableDescription {
  readonly schema: TableSchema;
  readonly estimatedRows: number;
  /** Errors here keep this table out (no key, a type not carried, a replica identity that loses the key). */
  readonly findings: readonly Finding[];
}

/** Keys after `after` up to and including `upTo`, in the source's own key order. Null = open end. Cells are the key columns only. */
export interface KeyRange {
  readonly after: Row | null;
  readonly upTo: Row | null;
}

/** Rows of one read in one snapshot of the source. */
export interface Chunk {
  readonly schema: TableSchema;
  readonly rows: readonly Row[];
  readonly view: SnapshotView;
  /** Time of the read in microseconds since the epoch. */
  readonly readTsUs: number;
  /** What fills the `source` block of these rows when they are published as `r`: `tsUs` is `readTsUs`. */
  readonly origin: ChangeOrigin;
}

/** What the source knows of its stream (PostgreSQL: the slot and its publication). */
export interface StreamState {
  readonly exists: boolean;
  /** Newest position that was acknowledged, null if the stream does not exist. */
  readonly acknowledged: Position | null;
  /** Bytes of its log that the source keeps because of this stream; left out where that is not known. */
  readonly retainedBytes?: number;
}

/** Where a newly made stream begins. */
export interface StreamStart {
  readonly position: Position;
  /** Transactions that lie before the stream and that other sessions may not see yet: they count as delivered. */
  readonly unseen: readonly bigint[];
}

/**
 * One source, seen by the capture runtime. Pull only. Errors are `DataTraceError`s whose `retry` tells whether the
 * runtime may open the source again. Start-up order, kept by the runtime: `publish` → intent stored → `createStream`
 * → first position stored → `changes`.
 */
export interface CaptureSource extends AsyncDisposable {
  readonly descriptor: SourceDescriptor;
  /** Identity of the server (PostgreSQL: system identifier), stored with the first position and compared at each start. */
  identity(signal: AbortSignal): Promise<string>;
  /** Everything that would stop a run with these tables. Changes nothing. */
  inspect(tables: readonly TableName[], signal: AbortSignal): Promise<readonly Finding[]>;
  /** Every table that could be captured, system tables left out. */
  listTables(signal: AbortSignal): Promise<readonly TableName[]>;
  /** @throws DataTraceError `source.table_missing` naming them. */
  describeTables(tables: readonly TableName[], signal: AbortSignal): Promise<readonly TableDescription[]>;
  /**
   * Makes the stream carry exactly these tables. When it returns, every transaction that wrote an added table and was
   * open then has ended, or will be decoded: a chunk read afterwards has no gap (I3).
   * @returns the tables that the stream did not carry before this call. One that the runtime has been following
   * already (dropped and made again, or taken out by somebody) has a gap: it cannot go on without a new snapshot.
   */
  publish(tables: readonly TableName[], signal: AbortSignal): Promise<readonly TableName[]>;
  stream(signal: AbortSignal): Promise<StreamState>;
  createStream(signal: AbortSignal): Promise<StreamStart>;
  /** Ends whoever streams now and removes the stream. Only for one that never carried data, and for `decommission`. */
  dropStream(signal: AbortSignal): Promise<void>;
  /**
   * Changes after `from`, in commit order, each once. Ends another reader of the same stream first. `known` gives the
   * table versions stored by the runtime. Bounded: what is not pulled is not read from the server.
   * @throws DataTraceError `source.history_lost` rather than skip, `source.connection_lost`, `source.decode_failed`.
   */
  changes(from: Position, known: readonly TableSchema[], signal: AbortSignal): AsyncIterable<SourceBatch>;
  /** Newest position of the source, for "caught up" and for lag. */
  head(signal: AbortSignal): Promise<Position>;
  /** True when everything committed before `target` was taken lies at or before `position`. */
  reached(position: Position, target: Position): boolean;
  /** Bytes of the source's log between the two, for lag; 0 when `position` is ahead. */
  distanceBytes(position: Position, head: Position): number;
  /** Writes a watermark in a transaction of its own; it comes back in `changes` with this id. Resolves when committed. */
  writeWatermark(id: string, signal: AbortSignal): Promise<void>;
  /** Splits the keys after `after` into ranges of about `chunkRows` rows; the last has an open end. */
  planChunks(schema: TableSchema, after: Row | null, chunkRows: number, signal: AbortSignal): AsyncIterable<KeyRange>;
  /** Reads a range, optionally only rows where this column is not null (after ADD COLUMN with a default). */
  readChunk(schema: TableSchema, range: KeyRange, notNull: string | null, signal: AbortSignal): Promise<Chunk>;
  /** Reads the rows of these keys (cells: key columns only), in one snapshot. Missing keys are left out. */
  readKeys(schema: TableSchema, keys: readonly Row[], signal: AbortSignal): Promise<Chunk>;
  /** What a session opened now can see: prunes the transactions delivered but not yet visible. */
  currentView(signal: AbortSignal): Promise<SnapshotView>;
  /** Everything up to `position` is durable in the log (I1). Idempotent, never moves back (I2). */
  acknowledge(position: Position): void;
  /** What `decommission` would remove, in words; then does it when `apply`. */
  decommission(apply: boolean, signal: AbortSignal): Promise<readonly string[]>;
}
