import {
  type CaptureSource,
  type Chunk,
  DataTraceError,
  type Finding,
  type KeyRange,
  type Position,
  type Row,
  type SnapshotView,
  type SourceBatch,
  type SourceDescriptor,
  type SourceEvent,
  type StreamStart,
  type StreamState,
  type TableDescription,
  tableId,
  type TableName,
  type TableSchema,
} from "@datatrace/core";
import type { Interleaving } from "./interleaving.ts";
import type { ModelDatabase, ModelTable } from "./model-database.ts";
import { emit, format, parse, publishedAt } from "./model-stream.ts";
import type { SeededRandom } from "./seeded-random.ts";

/** What is the source's own, and survives the capture: the stream, and how far it was acknowledged. */
export interface ModelSlot {
  acknowledged: number | null;
}

export interface ModelSourceOptions {
  readonly database: ModelDatabase;
  readonly slot: ModelSlot;
  readonly random: SeededRandom;
  readonly interleaving: Interleaving;
  /** Chance that an operation fails with a lost connection. */
  readonly failures: number;
  /** Called with what is acknowledged, in log entries. */
  readonly acknowledged: (entry: number) => void;
  /** What is wrong with a table, by its id. */
  readonly findings?: ReadonlyMap<string, Finding>;
  readonly identity?: () => string;
  /** Called with what is read of a table. */
  readonly read?: (what: string) => void;
}

const stallSteps = 60;
const noFindings: readonly Finding[] = [];

/** A `CaptureSource` over the model: every operation takes several steps, and other things happen between them. */
export class ModelSource implements CaptureSource {
  readonly descriptor: SourceDescriptor = {
    connector: "postgresql",
    database: "model",
    fields: [
      { name: "txId", type: "nullable-long" },
      { name: "lsn", type: "nullable-long" },
    ],
  };
  readonly #options: ModelSourceOptions;

  constructor(options: ModelSourceOptions) {
    this.#options = options;
  }

  async identity(signal: AbortSignal): Promise<string> {
    await this.#step(signal);
    return this.#options.identity?.() ?? "model";
  }

  async inspect(): Promise<readonly Finding[]> {
    return noFindings;
  }

  async listTables(signal: AbortSignal): Promise<readonly TableName[]> {
    await this.#step(signal);
    return this.#options.database.tables.map((table) => table.name);
  }

  async describeTables(names: readonly TableName[], signal: AbortSignal): Promise<readonly TableDescription[]> {
    await this.#step(signal);
    const described = names.map((name) => {
      const table = this.#table(name);
      const finding = this.#options.findings?.get(table.id);
      const findings = finding === undefined ? noFindings : [finding];
      return { schema: table.schema(table.columns), estimatedRows: table.rows.size, findings };
    });
    await this.#step(signal);
    return described;
  }

  async publish(names: readonly TableName[], signal: AbortSignal): Promise<readonly TableName[]> {
    const { database } = this.#options;
    await this.#step(signal);
    const before = publishedAt(database, database.wal.length);
    const added = names.filter((name) => !before.has(tableId(name)));
    // Waits until every transaction that wrote an added table has ended for everybody.
    const ids = new Set(added.map(tableId));
    while (database.unfinished.some((tx) => tx.written.some(({ table }) => ids.has(table.id))))
      await this.#step(signal);
    if (added.length > 0 || names.length !== before.size) {
      database.wal.push({ kind: "publication", tables: new Set(names.map(tableId)) });
    }
    await this.#step(signal);
    return added;
  }

  async stream(signal: AbortSignal): Promise<StreamState> {
    await this.#step(signal);
    const { acknowledged } = this.#options.slot;
    const exists = acknowledged !== null;
    return { exists, acknowledged: exists ? format({ entry: acknowledged, index: 0 }) : null };
  }

  async createStream(signal: AbortSignal): Promise<StreamStart> {
    const { database, slot } = this.#options;
    for (let n = this.#options.random.below(stallSteps); n >= 0; n -= 1) await this.#step(signal);
    if (slot.acknowledged !== null) throw new Error("the model's stream exists already");
    const entry = database.wal.length;
    slot.acknowledged = entry;
    const unseen = database.unfinished.filter((tx) => tx.state === "committed").map((tx) => tx.id);
    await this.#step(signal);
    return { position: format({ entry, index: 0 }), unseen };
  }

  async dropStream(signal: AbortSignal): Promise<void> {
    await this.#step(signal);
    this.#options.slot.acknowledged = null;
  }

  async *changes(from: Position, known: readonly TableSchema[], signal: AbortSignal): AsyncIterable<SourceBatch> {
    const { database, random, slot } = this.#options;
    const start = parse(from);
    if (slot.acknowledged === null || start.entry < slot.acknowledged) throw new DataTraceError("source.history_lost");
    const schemas = new Map<string, TableSchema>();
    for (const schema of known) schemas.set(`${tableId(schema.name)} ${schema.columns.length}`, schema);
    let place = start;
    while (true) {
      // Now and then the stream falls behind: what it delivers then has been visible for long.
      for (let n = random.chance(0.05) ? random.below(stallSteps) : 1; n > 0; n -= 1) await this.#step(signal);
      const events: SourceEvent[] = [];
      const wanted = 1 + random.below(6);
      while (place.entry < database.wal.length && events.length < wanted) {
        place = emit(database, place, events, wanted - events.length, schemas);
      }
      if (events.length > 0 || random.chance(0.1)) yield { events, position: format(place), sizeBytes: 100 };
      else await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async head(signal: AbortSignal): Promise<Position> {
    await this.#step(signal);
    return format({ entry: this.#options.database.wal.length, index: 0 });
  }

  reached(position: Position, target: Position): boolean {
    return parse(position).entry >= parse(target).entry;
  }

  distanceBytes(position: Position, head: Position): number {
    return Math.max(0, parse(head).entry - parse(position).entry);
  }

  async writeWatermark(id: string, signal: AbortSignal): Promise<void> {
    await this.#step(signal);
    this.#options.database.watermark(id);
    await this.#step(signal);
  }

  async *planChunks(
    schema: TableSchema,
    after: Row | null,
    chunkRows: number,
    signal: AbortSignal,
  ): AsyncIterable<KeyRange> {
    const { database } = this.#options;
    let from = after;
    while (true) {
      await this.#step(signal);
      const rows = database.visibleRows(this.#table(schema.name), database.view());
      const keys = [...rows.keys()].filter((key) => from === null || key > Number(from[0])).toSorted((a, b) => a - b);
      const boundary = keys[chunkRows - 1];
      const upTo = boundary === undefined || keys.length === chunkRows ? null : [boundary];
      yield { after: from, upTo };
      if (upTo === null) return;
      from = upTo;
    }
  }

  async readChunk(schema: TableSchema, range: KeyRange, notNull: string | null, signal: AbortSignal): Promise<Chunk> {
    const bounds = `${boundText(range.after)}-${boundText(range.upTo)}`;
    this.#options.read?.([tableId(schema.name), bounds, ...(notNull === null ? [] : [notNull])].join(" "));
    return await this.#read(
      schema,
      (key) =>
        (range.after === null || key > Number(range.after[0])) && (range.upTo === null || key <= Number(range.upTo[0])),
      notNull,
      signal,
    );
  }

  async readKeys(schema: TableSchema, keys: readonly Row[], signal: AbortSignal): Promise<Chunk> {
    const wanted = new Set(keys.map((key) => Number(key[0])));
    this.#options.read?.(`${tableId(schema.name)} keys ${[...wanted].join(",")}`);
    return await this.#read(schema, (key) => wanted.has(key), null, signal);
  }

  async currentView(signal: AbortSignal): Promise<SnapshotView> {
    await this.#step(signal);
    const view = this.#options.database.view();
    await this.#step(signal);
    return view;
  }

  acknowledge(position: Position): void {
    const { slot, acknowledged } = this.#options;
    const { entry } = parse(position);
    slot.acknowledged = Math.max(slot.acknowledged ?? 0, entry);
    acknowledged(entry);
  }

  async decommission(): Promise<readonly string[]> {
    return [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is held.
  }

  async #read(
    schema: TableSchema,
    wanted: (key: number) => boolean,
    notNull: string | null,
    signal: AbortSignal,
  ): Promise<Chunk> {
    const { database } = this.#options;
    const table = this.#table(schema.name);
    await this.#step(signal);
    // One snapshot: the rows, and what it sees.
    const view = database.view();
    const column = notNull === null ? null : schema.columns.findIndex((each) => each.name === notNull);
    const rows = [...database.visibleRows(table, view)]
      .filter(([key, row]) => wanted(key) && (column === null || row[column] !== null))
      .map(([, row]) => row.slice(0, schema.columns.length));
    await this.#step(signal);
    const readTsUs = 1_700_000_000_000_000;
    return { schema, rows, view, readTsUs, origin: { tsUs: readTsUs, sequence: null, fields: [null, null] } };
  }

  #table(name: TableName): ModelTable {
    const table = this.#options.database.tables.find((each) => each.id === tableId(name));
    if (table === undefined) throw new DataTraceError("source.table_missing", { detail: { table: tableId(name) } });
    return table;
  }

  async #step(signal: AbortSignal): Promise<void> {
    const { interleaving, random, failures } = this.#options;
    await interleaving.step(signal);
    if (random.chance(failures)) throw new DataTraceError("source.connection_lost");
  }
}

function boundText(key: Row | null): string {
  return key === null ? "" : String(Number(key[0]));
}
