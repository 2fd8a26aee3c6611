import { DataTraceError, type Row, type SchemaRegistry, type StoredRecord, type TopicPartition } from "@datatrace/core";
import { ByteReader, CorruptBytes } from "./byte-reader.ts";
import { type ChangeEvent, EnvelopeReader, UnknownOperation } from "./envelope-reader.ts";
import { type EventOutline, type OutlineContext, ScannedChange } from "./event-outline.ts";
import { type ReadKey, readKey } from "./read-schemas.ts";
import { schemaText } from "./registered-schemas.ts";
import { CellsReader } from "./row-reader.ts";
import { type Skip, skipper } from "./skip.ts";
import { magicByte, wireHeaderBytes } from "./wire-format.ts";

/** Follows each delete: the same key and no value. Nothing is left to do for a sink that has applied the delete. */
export interface Tombstone {
  readonly kind: "tombstone";
  /** Cells of the key, in key order. */
  readonly key: Row;
}

export type DecodedEvent = ChangeEvent | Tombstone;

export interface EventDecoder {
  /**
   * Decodes a record of a data topic that was written by us or by Debezium. The answer is there at once when both
   * schema ids were met before, and a promise when the registry must be asked. Rows hold no memory of the record.
   * Damage that Avro can show (cut short, too long, impossible lengths, branches, booleans or UTF-8) is an error; a
   * changed bit inside a value cannot be seen here.
   * @throws DataTraceError `log.corrupt` and `log.schema_unsupported` with topic, partition and offset,
   * `registry.schema_unknown`, `source.truncate_unsupported`.
   */
  decode(record: StoredRecord, at: TopicPartition, signal?: AbortSignal): DecodedEvent | Promise<DecodedEvent>;
  /**
   * As `decode`, with the row left where it is until it is asked for. The record's structure is checked here; a text
   * that is not UTF-8, and what else only reading a cell can show, is found by `row()`. Keeps the record.
   */
  outline(record: StoredRecord, at: TopicPartition, signal?: AbortSignal): EventOutline | Promise<EventOutline>;
}

export interface EventDecoderOptions {
  /** Also decode `before` of updates; costs as much as `after`. Default false. */
  readonly withBefore?: boolean;
}

/** Keeps every schema it has met: use one for all topics of a registry. */
export function createEventDecoder(registry: SchemaRegistry, options: EventDecoderOptions = {}): EventDecoder {
  return new CachingEventDecoder(registry, options.withBefore ?? false);
}

interface KeyReader {
  readonly schema: ReadKey;
  readonly cells: CellsReader;
  readonly skip: Skip;
}

/** Reads a record whose schemas are known. `key` and `value` are its own: a log may make them anew with each look. */
type Read<T> = (
  record: StoredRecord,
  key: Uint8Array | null,
  value: Uint8Array | null,
  keyReader: KeyReader | null,
  envelope: EnvelopeReader | null,
  at: TopicPartition,
) => T;

const noCells: Row = Object.freeze([]);

class CachingEventDecoder implements EventDecoder {
  readonly #registry: SchemaRegistry;
  readonly #withBefore: boolean;
  readonly #keys = new Map<number, KeyReader>();
  readonly #envelopes = new Map<number, EnvelopeReader>();
  readonly #reader = new ByteReader();
  readonly #reading: Read<DecodedEvent> = (record, key, value, keyReader, envelope) =>
    this.#read(record, key, value, keyReader, envelope);
  readonly #outlining: Read<EventOutline> = (record, key, value, keyReader, envelope, at) =>
    this.#outline(record, key, value, keyReader, envelope, at);
  /** Of the last outline: mostly the next is of the same partition and schemas. */
  #last: (OutlineContext & { readonly key: KeyReader | null; readonly at: TopicPartition }) | null = null;

  constructor(registry: SchemaRegistry, withBefore: boolean) {
    this.#registry = registry;
    this.#withBefore = withBefore;
  }

  decode(record: StoredRecord, at: TopicPartition, signal?: AbortSignal): DecodedEvent | Promise<DecodedEvent> {
    return this.#withReaders(record, at, signal, this.#reading);
  }

  outline(record: StoredRecord, at: TopicPartition, signal?: AbortSignal): EventOutline | Promise<EventOutline> {
    return this.#withReaders(record, at, signal, this.#outlining);
  }

  /** Calls at once when both schemas are known. */
  #withReaders<T>(
    record: StoredRecord,
    at: TopicPartition,
    signal: AbortSignal | undefined,
    read: Read<T>,
  ): T | Promise<T> {
    try {
      const { key, value } = record;
      const keyReader = key === null ? null : this.#keys.get(schemaIdOf(key));
      const envelope = value === null ? null : this.#envelopes.get(schemaIdOf(value));
      if (keyReader === undefined || envelope === undefined) return this.#load(record, at, signal, read);
      return read(record, key, value, keyReader, envelope, at);
    } catch (error) {
      throw located(error, record, at);
    }
  }

  async #load<T>(record: StoredRecord, at: TopicPartition, signal: AbortSignal | undefined, read: Read<T>): Promise<T> {
    try {
      const { key, value } = record;
      const keyReader = key === null ? null : await this.#keyReader(schemaIdOf(key), signal);
      const envelope = value === null ? null : await this.#envelope(schemaIdOf(value), signal);
      return read(record, key, value, keyReader, envelope, at);
    } catch (error) {
      throw located(error, record, at);
    }
  }

  #outline(
    record: StoredRecord,
    key: Uint8Array | null,
    value: Uint8Array | null,
    keyReader: KeyReader | null,
    envelope: EnvelopeReader | null,
    at: TopicPartition,
  ): EventOutline {
    const reader = this.#reader;
    if (key !== null && keyReader !== null) {
      reader.begin(key, wireHeaderBytes);
      keyReader.skip(reader);
      reader.finish();
    }
    if (value === null || envelope === null) return { kind: "tombstone", sizeBytes: key?.length ?? 0 };
    reader.begin(value, wireHeaderBytes);
    const scanned = envelope.scan(reader);
    return new ScannedChange(record, key, value, scanned, this.#context(keyReader, envelope, at));
  }

  #context(key: KeyReader | null, envelope: EnvelopeReader, at: TopicPartition): OutlineContext {
    let context = this.#last;
    if (context === null || context.key !== key || context.envelope !== envelope || context.at !== at) {
      const schema = envelope.table(key?.schema ?? null);
      const where = (error: unknown, record: StoredRecord): unknown => located(error, record, at);
      context = { key, at, envelope, schema, reader: this.#reader, located: where };
      this.#last = context;
    }
    return context;
  }

  #read(
    { headers }: StoredRecord,
    key: Uint8Array | null,
    value: Uint8Array | null,
    keyReader: KeyReader | null,
    envelope: EnvelopeReader | null,
  ): DecodedEvent {
    const reader = this.#reader;
    let cells = noCells;
    if (key !== null && keyReader !== null) {
      reader.begin(key, wireHeaderBytes);
      cells = keyReader.cells.read(reader);
      reader.finish();
    }
    if (value === null || envelope === null) return { kind: "tombstone", key: cells };
    reader.begin(value, wireHeaderBytes);
    return envelope.read(reader, envelope.table(keyReader?.schema ?? null), cells, headers);
  }

  async #keyReader(id: number, signal: AbortSignal | undefined): Promise<KeyReader> {
    const text = await schemaText(this.#registry, id, signal);
    let reader = this.#keys.get(id);
    if (reader === undefined) {
      const schema = readKey(text);
      const skips = schema.fields.map(({ node }) => skipper(node));
      const skip: Skip = (bytes) => {
        for (const each of skips) each(bytes);
      };
      reader = { schema, cells: new CellsReader(schema.fields, schema.columns), skip };
      this.#keys.set(id, reader);
    }
    return reader;
  }

  async #envelope(id: number, signal: AbortSignal | undefined): Promise<EnvelopeReader> {
    const text = await schemaText(this.#registry, id, signal);
    let reader = this.#envelopes.get(id);
    if (reader === undefined) {
      reader = new EnvelopeReader(text, this.#withBefore);
      this.#envelopes.set(id, reader);
    }
    return reader;
  }
}

function schemaIdOf(bytes: Uint8Array): number {
  if (bytes.length < wireHeaderBytes || bytes[0] !== magicByte) throw new CorruptBytes("it has no schema id");
  const [, a = 0, b = 0, c = 0, d = 0] = bytes;
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

/** Says where, and turns what the bytes did to us into an error of the log. */
function located(error: unknown, record: StoredRecord, { topic, partition }: TopicPartition): unknown {
  const place = { topic, partition, offset: record.offset.toString() };
  if (error instanceof CorruptBytes)
    return new DataTraceError("log.corrupt", { detail: { ...place, what: error.message } });
  if (error instanceof UnknownOperation) {
    if (error.op === "t") return new DataTraceError("source.truncate_unsupported", { detail: place });
    if (error.op === "m")
      return new DataTraceError("log.schema_unsupported", { detail: { ...place, what: "a message" } });
    return new DataTraceError("log.corrupt", { detail: { ...place, what: "an unknown operation" } });
  }
  if (error instanceof DataTraceError && error.code === "log.schema_unsupported") {
    return new DataTraceError(error.code, { detail: { ...place, ...error.detail } });
  }
  return error;
}
