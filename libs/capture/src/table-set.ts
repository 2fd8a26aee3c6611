import { rowKeyIdentity } from "@datatrace/avro";
import {
  DataTraceError,
  type Logger,
  type LogRecord,
  publishedTableKey,
  tableId,
  type TableName,
  type TableSchema,
} from "@datatrace/core";
import { CapturedTable } from "./captured-table.ts";
import { cellsFromJson } from "./key-cells.ts";
import { rowOfKey } from "./key-row.ts";
import { matchVersion, type SchemaWitness } from "./schema-versions.ts";
import { refusesSchema } from "./stop-reason.ts";
import { encodeTable, type TableRecord } from "./table-record.ts";
import { TableScan } from "./table-scan.ts";
import { allowNull, type Publisher, publishedVersion, type TableVersion } from "./table-version.ts";

/** A schema object of the source, resolved: whose it is and how its rows are written. */
export interface TableBinding {
  readonly table: CapturedTable;
  readonly version: TableVersion;
}

/** The tables of a capture, and which of their records must be stored with the next append. */
export class TableSet {
  readonly #publisher: Publisher;
  readonly #stateTopic: string;
  readonly #logger: Logger;
  readonly #tables = new Map<string, CapturedTable>();
  readonly #byTopic = new Map<string, CapturedTable>();
  readonly #bindings = new WeakMap<TableSchema, TableBinding>();
  readonly #touched = new Set<CapturedTable>();
  readonly #removed = new Set<string>();

  readonly #listeners: (() => void)[] = [];

  constructor(publisher: Publisher, stateTopic: string, logger: Logger) {
    this.#publisher = publisher;
    this.#stateTopic = stateTopic;
    this.#logger = logger;
  }

  /** Called when there is something new to store or to read. */
  listen(changed: () => void): void {
    this.#listeners.push(changed);
  }

  all(): Iterable<CapturedTable> {
    return this.#tables.values();
  }

  get(name: TableName): CapturedTable | undefined {
    return this.#tables.get(tableId(name));
  }

  /** The table that owns this data topic. */
  ofTopic(topic: string): CapturedTable | undefined {
    return this.#byTopic.get(topic);
  }

  /** Every version that is published, as the source may show it again. */
  known(): readonly TableSchema[] {
    return [...this.#tables.values()].flatMap((table) => table.versions.map((version) => version.schema));
  }

  /** Takes over what was stored. */
  async restore(record: TableRecord, signal: AbortSignal): Promise<CapturedTable> {
    const { topic } = record;
    const versions = await Promise.all(
      record.versions.map((schema) => publishedVersion(this.#publisher, topic, schema, signal)),
    );
    const { table: name, partitions, epoch } = record;
    const table = new CapturedTable({ name, topic, partitions, epoch, versions });
    table.phase = record.phase;
    table.error = record.error;
    table.followed = record.followed;
    table.rowsRead = record.rowsRead;
    table.estimatedRows = record.estimatedRows;
    table.scans = record.scans.map((scan) => new TableScan(scan));
    for (const [partition, offset] of record.last) table.last.set(partition, BigInt(offset));
    const schema = table.version?.schema;
    if (schema !== undefined) {
      for (const json of record.rereads) {
        const cells = cellsFromJson(json);
        table.rereads.ask(rowKeyIdentity(schema, rowOfKey(schema, cells)), cells);
      }
    }
    this.#insert(table);
    return table;
  }

  /** A table that was not captured before. Its record is stored with the next append. */
  async add(
    { name, topic, partitions, epoch }: Omit<ConstructorParameters<typeof CapturedTable>[0], "versions">,
    schema: TableSchema | null,
    signal: AbortSignal,
  ): Promise<CapturedTable> {
    const versions = schema === null ? [] : [await publishedVersion(this.#publisher, topic, schema, signal)];
    const table = new CapturedTable({ name, topic, partitions, epoch, versions });
    this.#insert(table);
    this.touch(table);
    return table;
  }

  /** Taken out of the selection: its record goes, its topic stays. */
  remove(table: CapturedTable): void {
    table.removed = true;
    table.windows.clear();
    this.#tables.delete(table.id);
    if (this.#byTopic.get(table.topic) === table) this.#byTopic.delete(table.topic);
    this.#touched.delete(table);
    this.#removed.add(table.id);
    this.#changed();
  }

  /** This table has stopped; the others go on. Never silent: in the state, in the status, one line in the log. */
  park(table: CapturedTable, error: DataTraceError): void {
    table.park(error);
    this.touch(table);
    this.#logger.error("table parked", { table: table.id, code: error.code, error: error.message, fix: error.fix });
  }

  /** What `record` answers has changed. */
  touch(table: CapturedTable): void {
    if (!table.removed) this.#touched.add(table);
    this.#changed();
  }

  get touched(): boolean {
    return this.#touched.size > 0 || this.#removed.size > 0;
  }

  /** State records for the append that is being sealed. */
  drain(): readonly LogRecord[] {
    const text = new TextEncoder();
    const at = { topic: this.#stateTopic, partition: 0 };
    const records: LogRecord[] = [];
    for (const id of this.#removed) {
      if (!this.#tables.has(id)) records.push({ ...at, key: text.encode(publishedTableKey(id)), value: null });
    }
    for (const table of this.#touched) {
      records.push({ ...at, key: text.encode(publishedTableKey(table.id)), value: encodeTable(table.record()) });
    }
    this.#removed.clear();
    this.#touched.clear();
    return records;
  }

  /** The binding of a schema object that was met before. */
  bound(schema: TableSchema): TableBinding | undefined {
    const binding = this.#bindings.get(schema);
    return binding?.table.removed === true ? undefined : binding;
  }

  /**
   * Finds whose version this is; a new one (columns were added) is registered and published from here on. Null when the
   * table is not captured, or cannot be followed: then it is parked (but for a chunk, which is not the last word).
   */
  async bind(schema: TableSchema, witness: SchemaWitness, signal: AbortSignal): Promise<TableBinding | null> {
    const table = this.get(schema.name);
    if (table === undefined || !table.publishes) return null;
    try {
      return await this.#bind(table, schema, witness, signal);
    } catch (error) {
      if (!refusesSchema(error)) throw error;
      if (!table.removed) this.park(table, error);
      return null;
    }
  }

  async #bind(
    table: CapturedTable,
    schema: TableSchema,
    witness: SchemaWitness,
    signal: AbortSignal,
  ): Promise<TableBinding | null> {
    const match = matchVersion(
      table.versions.map((version) => version.schema),
      schema,
      witness,
    );
    if (match.kind === "incompatible") {
      // A chunk may have been read before a change that the stream has shown meanwhile: it is read again.
      if (witness === "chunk") return null;
      this.park(table, new DataTraceError("source.schema_change_unsupported", { detail: { table: table.id } }));
      return null;
    }
    let version: TableVersion;
    if (match.kind === "new") {
      const before = table.versions;
      version = await publishedVersion(this.#publisher, table.topic, match.schema, signal);
      // While the registry was asked, somebody else may have bound a version, or the table may have gone. What the
      // catalog said is old then: its next look compares.
      if (table.versions !== before && witness === "catalog") return null;
      if (table.removed || table.versions !== before) return await this.bind(schema, witness, signal);
      table.versions = table.versions.toSpliced(match.index, 0, version);
      if (!match.between) for (const column of match.columns) table.readColumn(column);
      this.touch(table);
      this.#logger.info("table has new columns", { table: table.id, columns: match.columns });
    } else {
      const known = table.versions[match.index];
      if (known === undefined) return null;
      version = known;
      for (const column of match.nullable) await this.allowNull({ table, version }, column, signal);
    }
    const binding = { table, version };
    this.#bindings.set(schema, binding);
    return binding;
  }

  /** The stream shows this version: it never shows an older one again. */
  shown({ table, version }: TableBinding): void {
    const index = table.versions.indexOf(version);
    if (index <= 0) return;
    table.versions = table.versions.slice(index);
    this.touch(table);
  }

  /** A null was met in a column that was thought to be required. @throws what `refusesSchema` knows. */
  async allowNull({ table, version }: TableBinding, column: number, signal: AbortSignal): Promise<void> {
    await allowNull(this.#publisher, table.topic, version, column, signal);
    this.touch(table);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #insert(table: CapturedTable): void {
    const before = this.#tables.get(table.id);
    if (before !== undefined) {
      before.removed = true;
      this.#touched.delete(before);
    }
    this.#tables.set(table.id, table);
    if (table.epoch !== null) this.#byTopic.set(table.topic, table);
  }
}
