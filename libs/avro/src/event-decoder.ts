import { DataTraceError, type Row, type SchemaRegistry, type StoredRecord, type TopicPartition } from "@datatrace/core";
import { ByteReader, CorruptBytes } from "./byte-reader.ts";
import { type ChangeEvent, EnvelopeReader, UnknownOperation } from "./envelope-reader.ts";
import { type ReadKey, readKey } from "./read-schemas.ts";
import { schemaText } from "./registered-schemas.ts";
import { CellsReader } from "./row-reader.ts";
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
}

const noCells: Row = Object.freeze([]);

class CachingEventDecoder implements EventDecoder {
  readonly #registry: SchemaRegistry;
  readonly #withBefore: boolean;
  readonly #keys = new Map<number, KeyReader>();
  readonly #envelopes = new Map<number, EnvelopeReader>();
  readonly #reader = new ByteReader();

  constructor(registry: SchemaRegistry, withBefore: boolean) {
    this.#registry = registry;
    this.#withBefore = withBefore;
  }

  decode(record: StoredRecord, at: TopicPartition, signal?: AbortSignal): DecodedEvent | Promise<DecodedEvent> {
    try {
      const { key, value } = record;
      const keyReader = key === null ? null : this.#keys.get(schemaIdOf(key));
      const envelope = value === null ? null : this.#envelopes.get(schemaIdOf(value));
      if (keyReader === undefined || envelope === undefined) return this.#load(record, at, signal);
      return this.#read(record, keyReader, envelope);
    } catch (error) {
      throw located(error, record, at);
    }
  }

  async #load(record: StoredRecord, at: TopicPartition, signal: AbortSignal | undefined): Promise<DecodedEvent> {
    try {
      const { key, value } = record;
      const keyReader = key === null ? null : await this.#keyReader(schemaIdOf(key), signal);
      const envelope = value === null ? null : await this.#envelope(schemaIdOf(value), signal);
      return this.#read(record, keyReader, envelope);
    } catch (error) {
      throw located(error, record, at);
    }
  }

  #read(
    { key, value, headers }: StoredRecord,
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
      reader = { schema, cells: new CellsReader(schema.fields, schema.columns) };
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
