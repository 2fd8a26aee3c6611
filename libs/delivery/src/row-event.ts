import { DataTraceError, UNCHANGED, headers } from "@datatrace/core";
import type { Row, StoredRecord, TableSchema } from "@datatrace/core";
import type { ChangeOutline } from "@datatrace/avro";

/** One change of one row as a topic has it, in the form that collapsing and applying need. */
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

/**
 * A change that still is the bytes of its record: thousands wait for their turn in each partition, and rows in memory
 * are what a garbage collector suffers from. `row` decodes with each look.
 */
export class LoggedRowEvent implements RowEvent {
  readonly keyId: string;
  readonly partial: boolean;
  readonly #outline: ChangeOutline;
  readonly #delivery: string;

  /** @throws DataTraceError `source.table_without_key`; `log.corrupt` of a row that leaves columns out */
  constructor(outline: ChangeOutline, topic: string, delivery: string) {
    if (outline.keyId === null || outline.schema.key.length === 0) {
      throw new DataTraceError("source.table_without_key", { detail: { topic } });
    }
    this.#outline = outline;
    this.#delivery = delivery;
    this.keyId = outline.keyId;
    const noted = outline.record.headers;
    this.partial = outline.op !== "d" && noted[headers.unchanged] !== undefined && outline.row().includes(UNCHANGED);
  }

  get offset(): bigint {
    return this.#outline.record.offset;
  }

  get kind(): "upsert" | "delete" {
    return this.#outline.op === "d" ? "delete" : "upsert";
  }

  get schema(): TableSchema {
    return this.#outline.schema;
  }

  /** @throws DataTraceError `log.corrupt` */
  get row(): Row {
    return this.#outline.row();
  }

  get key(): Uint8Array {
    return this.#outline.record.key ?? new Uint8Array();
  }

  get ask(): boolean {
    const follows = this.#outline.rFollows;
    return follows === null || (follows !== "*" && !follows.split(",").includes(this.#delivery));
  }

  get commitTsUs(): number | null {
    return this.#outline.op === "r" ? null : this.#outline.tsUs;
  }

  get record(): StoredRecord {
    return this.#outline.record;
  }
}
