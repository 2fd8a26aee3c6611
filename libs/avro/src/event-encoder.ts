import { type ChangeOrigin, invariant, type LogHeaders, type Row, type TableSchema } from "@datatrace/core";
import type { Buffer } from "node:buffer";
import { ByteWriter } from "./byte-writer.ts";
import { type KeyWriter, keyWriterOf } from "./key-encoder.ts";
import { RowWriter } from "./row-writer.ts";
import type { SnapshotFlag } from "./source-schema.ts";
import { type SourceIdentity, SourceWriter } from "./source-writer.ts";
import { keyHash, magicByte, wireHeaderBytes } from "./wire-format.ts";

/** `c` insert, `u` update, `d` delete, `r` read by a snapshot. */
export type Operation = "c" | "u" | "d" | "r";

/** One event to be. A key change is two of them: the delete of the old key and the insert of the new one. */
export interface EventChange {
  readonly op: Operation;
  /** `d`: the old row with at least its key cells, unknown cells null. `u`: the full old row, or null. */
  readonly before: Row | null;
  /** Null only for `d`. */
  readonly after: Row | null;
  readonly origin: ChangeOrigin;
  /** `false` for the stream, `incremental` for a row of a watermarked chunk. */
  readonly snapshot: SnapshotFlag;
  /** When capture handles it, in microseconds since the epoch: the envelope's own `ts_*`. Take it once per batch. */
  readonly processedTsUs: number;
  /** More headers for this event, such as `headers.rFollows`. */
  readonly headers?: LogHeaders;
}

/** Views into a slab of 64 KiB or more that is not written again: posting one to a worker copies its whole slab. */
export interface EncodedEvent {
  /** Null for a table without a key. */
  readonly key: Buffer | null;
  readonly value: Buffer;
  /** Partition = `keyHash % partitions`. 0 for a table without a key, which has one partition. */
  readonly keyHash: number;
  /** Empty where nothing needs one. */
  readonly headers: LogHeaders;
}

export interface EventEncoder {
  readonly schema: TableSchema;
  /**
   * Synchronous. A delete is followed by a tombstone that the caller appends: the same key, value null.
   * @throws UnexpectedNull, DataTraceError `source.key_unsupported`; nothing is encoded then.
   */
  encode(change: EventChange): EncodedEvent;
}

export interface EventEncoderOptions extends SourceIdentity {
  readonly schema: TableSchema;
  /** From `registerTable`; null for a table without a key. */
  readonly keySchemaId: number | null;
  readonly valueSchemaId: number;
}

/** Encodes the events of one version of a table. Cheap to use, not to make: keep it as long as the version lives. */
export function createEventEncoder(options: EventEncoderOptions): EventEncoder {
  return new SlabEventEncoder(options);
}

const noHeaders: LogHeaders = Object.freeze({});
/** One slab serves every encoder of the process, since nothing is awaited while an event is written. */
const shared = new ByteWriter();

class SlabEventEncoder implements EventEncoder {
  readonly schema: TableSchema;
  readonly #keySchemaId: number | null;
  readonly #valueSchemaId: number;
  readonly #keys: KeyWriter;
  readonly #rows: RowWriter;
  readonly #source: SourceWriter;

  constructor(options: EventEncoderOptions) {
    invariant((options.keySchemaId === null) === (options.schema.key.length === 0), "a keyed table has a key schema");
    this.schema = options.schema;
    this.#keySchemaId = options.keySchemaId;
    this.#valueSchemaId = options.valueSchemaId;
    this.#keys = keyWriterOf(options.schema);
    this.#rows = new RowWriter(options.schema);
    this.#source = new SourceWriter(options);
  }

  encode(change: EventChange): EncodedEvent {
    const { op, before, after } = change;
    invariant(
      op === "d" ? before !== null && after === null : after !== null,
      "an event has the rows of its operation",
    );
    const rows = this.#rows;
    rows.begin();
    shared.begin();
    const key = this.#encodeKey((after ?? before) as Row);
    try {
      this.#writeValue(change);
    } catch (error) {
      this.#source.forget();
      throw error;
    }
    const noted = rows.headers();
    return {
      key,
      value: shared.take(),
      keyHash: key === null ? 0 : keyHash(key, wireHeaderBytes),
      headers: noted === null ? (change.headers ?? noHeaders) : { ...change.headers, ...noted },
    };
  }

  #encodeKey(row: Row): Buffer | null {
    if (this.#keySchemaId === null) return null;
    shared.byte(magicByte);
    shared.uint32(this.#keySchemaId);
    this.#keys.write(shared, row);
    return shared.take();
  }

  #writeValue({ op, before, after, origin, snapshot, processedTsUs }: EventChange): void {
    shared.byte(magicByte);
    shared.uint32(this.#valueSchemaId);
    this.#writeRow(before, op === "d" ? "deleted" : "before");
    this.#writeRow(after, "after");
    this.#source.write(shared, origin, snapshot);
    shared.byte(0);
    shared.string(op);
    shared.byte(2);
    shared.long(Math.floor(processedTsUs / 1000));
    shared.byte(2);
    shared.long(processedTsUs);
    shared.byte(2);
    shared.thousandfold(processedTsUs);
  }

  #writeRow(row: Row | null, role: "before" | "after" | "deleted"): void {
    if (row === null) shared.byte(0);
    else {
      shared.byte(2);
      this.#rows.write(shared, row, role);
    }
  }
}
