import { DataTraceError, tableId } from "@datatrace/core";
import type { Finding, TableDescription, TableName, TableSchema } from "@datatrace/core";
import { listTables, readCatalog, tableShape } from "@datatrace/postgres";
import type { Catalog, CatalogTable } from "@datatrace/postgres";
import { nearestName } from "./nearest-name.ts";
import { lostLabels } from "./relation-shape.ts";
import type { ServerSessions } from "./server-sessions.ts";
import { tableFindings } from "./table-findings.ts";
import type { TableVersions } from "./table-versions.ts";

/** Bytes of a row where nothing is known: for the first estimate of a table that was never analyzed. */
const guessedRowBytes = 128;

/** The tables as they are now. */
export class TableCatalog {
  readonly #sessions: ServerSessions;
  readonly #versions: TableVersions;

  constructor(sessions: ServerSessions, versions: TableVersions) {
    this.#sessions = sessions;
    this.#versions = versions;
  }

  async list(signal: AbortSignal): Promise<readonly TableName[]> {
    return await this.#sessions.control(signal, listTables);
  }

  /** Tables by name and by object id, in one statement; what does not exist is left out. */
  async read(names: readonly TableName[], oids: readonly number[], signal: AbortSignal): Promise<Catalog> {
    return await this.#sessions.control(signal, (session) => readCatalog(session, names, oids));
  }

  /** Cheap enough for every second: one prepared statement, whatever the number of tables. */
  async describe(names: readonly TableName[], signal: AbortSignal): Promise<readonly TableDescription[]> {
    const catalog = await this.read(names, [], signal);
    const found = new Map(catalog.tables.map((table) => [tableId(table.name), table]));
    const missing = names.filter((name) => !found.has(tableId(name)));
    if (missing.length > 0) {
      const findings = await this.missingFindings(missing, signal);
      const hints = findings.map(({ table, fix }) => `${table} (${fix})`);
      throw new DataTraceError("source.table_missing", { message: `The source has no table ${hints.join(", ")}.` });
    }
    return names.flatMap((name) => {
      const table = found.get(tableId(name));
      return table === undefined ? [] : [this.#description(table, catalog)];
    });
  }

  /** The version with the labels that its enums have now: the same object if there are none to add, or some are gone. */
  async newerLabels(version: TableSchema, signal: AbortSignal): Promise<TableSchema> {
    const catalog = await this.read([version.name], [], signal);
    const [table] = catalog.tables;
    if (table === undefined) return version;
    const today = new Map(tableShape(table, catalog).schema.columns.map((column) => [column.name, column]));
    const columns = version.columns.map((column) => {
      const now = today.get(column.name);
      return now?.native.name === column.native.name ? { ...column, type: now.type } : column;
    });
    return lostLabels(version, columns) === null ? this.#versions.intern({ ...version, columns }) : version;
  }

  /** A finding for each table that does not exist. */
  async missingFindings(names: readonly TableName[], signal: AbortSignal): Promise<readonly Finding[]> {
    if (names.length === 0) return [];
    const all = (await this.list(signal)).map((name) => tableId(name));
    return names.map((name) => {
      const id = tableId(name);
      const near = nearestName(id, all);
      return {
        severity: "error",
        code: "source.table_missing",
        message: `The source has no table ${id}.`,
        fix: near === null ? "Correct the name, or create the table." : `Did you mean ${near}?`,
        table: id,
      };
    });
  }

  #description(table: CatalogTable, catalog: Catalog): TableDescription {
    const shape = tableShape(table, catalog);
    const rows = table.estimatedRows >= 0 ? table.estimatedRows : table.sizeBytes / guessedRowBytes;
    return {
      schema: this.#versions.intern(shape.schema),
      estimatedRows: Math.round(rows),
      findings: [...shape.findings, ...tableFindings(table)],
    };
  }
}
