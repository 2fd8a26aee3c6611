import type { Row, StoredRecord, TableSchema } from "@datatrace/core";

/** One change of one row as a topic has it, decoded, in the form that collapsing and applying need. */
export interface RowEvent {
  readonly offset: bigint;
  /** `upsert`: create, update or snapshot read. */
  readonly kind: "upsert" | "delete";
  /** The version of the table that `row` is aligned with. */
  readonly schema: TableSchema;
  /** The new row, `UNCHANGED` where the source left a column out; of a delete only the key cells count. */
  readonly row: Row;
  readonly partial: boolean;
  /** Identity of the key within its partition, as `keyIdentity` gives it. */
  readonly keyId: string;
  /** Avro key as in the log. */
  readonly key: Uint8Array;
  /** Of a partial row that finds nothing to update: true = ask for the full row, false = one follows anyway. */
  readonly ask: boolean;
  /** Commit time in microseconds since the epoch; null for a snapshot read, whose time says nothing about latency. */
  readonly commitTsUs: number | null;
  /** What a quarantine keeps, byte for byte. */
  readonly record: StoredRecord;
}
