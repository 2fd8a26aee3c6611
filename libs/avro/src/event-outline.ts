import { headers as headerNames, type Row, type StoredRecord, type TableSchema } from "@datatrace/core";
import type { ByteReader } from "./byte-reader.ts";
import { commitTsUs } from "./envelope-reader.ts";
import type { EnvelopeReader, ScannedEnvelope } from "./envelope-reader.ts";
import type { Operation } from "./event-encoder.ts";
import { keyIdentity, wireHeaderBytes } from "./wire-format.ts";

/**
 * A change whose record is known to be whole, its row not decoded: many of them can wait, because each costs little
 * beside its record, and a row that a later change of its key replaces is never decoded at all.
 */
export interface ChangeOutline {
  readonly kind: "change";
  readonly record: StoredRecord;
  /** As `keyIdentity` gives it; null without a key. */
  readonly keyId: string | null;
  /** Bytes of its key and its value. */
  readonly sizeBytes: number;
  readonly op: Operation;
  /** As `ChangeEvent` has it. */
  readonly schema: TableSchema;
  readonly tsUs: number;
  /** The header of that name, or null. */
  readonly rFollows: string | null;
  /**
   * The new row, of a delete the old one. Decoded again with each call.
   * @throws DataTraceError `log.corrupt` with topic, partition and offset
   */
  row(): Row;
}

/** Follows each delete: the same key and no value. */
export interface TombstoneOutline {
  readonly kind: "tombstone";
  /** Bytes of its key. */
  readonly sizeBytes: number;
}

export type EventOutline = ChangeOutline | TombstoneOutline;

/** What the outlines of one kind of records have in common. */
export interface OutlineContext {
  readonly envelope: EnvelopeReader;
  readonly schema: TableSchema;
  readonly reader: ByteReader;
  /** Says where, in an error about this record. */
  readonly located: (error: unknown, record: StoredRecord) => unknown;
}

export class ScannedChange implements ChangeOutline {
  readonly kind = "change";
  readonly record: StoredRecord;
  readonly keyId: string | null;
  readonly sizeBytes: number;
  readonly op: Operation;
  readonly tsUs: number;
  readonly #context: OutlineContext;
  readonly #rowAt: number;

  /** `key` and `value` are the record's: a log may make them anew with each look. */
  constructor(
    record: StoredRecord,
    key: Uint8Array | null,
    value: Uint8Array,
    scanned: ScannedEnvelope,
    context: OutlineContext,
  ) {
    this.record = record;
    this.keyId = key === null ? null : keyIdentity(key);
    this.sizeBytes = (key?.length ?? 0) + value.length;
    this.op = scanned.op;
    this.tsUs = commitTsUs(scanned);
    this.#rowAt = scanned.rowAt;
    this.#context = context;
  }

  get schema(): TableSchema {
    return this.#context.schema;
  }

  get rFollows(): string | null {
    return this.record.headers[headerNames.rFollows] ?? null;
  }

  row(): Row {
    const { envelope, reader, located } = this.#context;
    const { value, headers } = this.record;
    try {
      reader.begin(value ?? new Uint8Array(), wireHeaderBytes);
      return envelope.row(reader, this.#rowAt, headers);
    } catch (error) {
      throw located(error, this.record);
    }
  }
}
