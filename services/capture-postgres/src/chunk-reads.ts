import { DataTraceError, tableId } from "@datatrace/core";
import type { ChangeOrigin, Chunk, Column, KeyRange, Row, TableSchema } from "@datatrace/core";
import {
  PostgresSnapshot,
  RowDecoder,
  UnexpectedNull,
  UnknownLabel,
  keyColumns,
  keysCondition,
  nameList,
  quoteName,
  quoteTable,
  rangeCondition,
} from "@datatrace/postgres";
import { shapeError } from "./relation-shape.ts";
import type { ServerSessions } from "./server-sessions.ts";
import type { TableCatalog } from "./table-catalog.ts";
import type { TableVersions } from "./table-versions.ts";

/** A chunk is held in memory: of tables with large rows it has fewer. */
const chunkBytes = 16 * 1024 * 1024;
const sampleRows = 100;
/** Keys of one statement: a longer list costs the planner more than a second statement. */
const keysPerStatement = 500;

/** The rows of a table as they are now, in pieces. */
export class ChunkReads {
  readonly #sessions: ServerSessions;
  readonly #catalog: TableCatalog;
  readonly #versions: TableVersions;

  constructor(sessions: ServerSessions, catalog: TableCatalog, versions: TableVersions) {
    this.#sessions = sessions;
    this.#catalog = catalog;
    this.#versions = versions;
  }

  /**
   * Key ranges one after the other, each found by a walk along the key's index when it is asked for: nothing is held
   * on the server in between, and rows that come or go while the ranges are read do no harm.
   */
  async *plan(
    schema: TableSchema,
    after: Row | null,
    chunkRows: number,
    signal: AbortSignal,
  ): AsyncGenerator<KeyRange> {
    const rows = await this.#rowsPerChunk(schema, chunkRows, signal);
    const key = nameList(keyColumns(schema));
    const decoder = new RowDecoder(keySchema(schema));
    let from = after;
    for (;;) {
      const condition = rangeCondition(schema, { after: from, upTo: null });
      const upTo: Row[] = [];
      await this.#script(
        schema,
        `BEGIN READ ONLY; SET LOCAL enable_seqscan = off;
         COPY (SELECT ${key} FROM ONLY ${quoteTable(schema.name)} ${where([condition])} ORDER BY ${key}
           OFFSET ${rows - 1} LIMIT 1) TO STDOUT; COMMIT`,
        { copyRow: (line) => upTo.push(decoder.copyRow(line)) },
        signal,
      );
      const [last] = upTo;
      if (last === undefined) {
        yield { after: from, upTo: null };
        return;
      }
      yield { after: from, upTo: last };
      from = last;
    }
  }

  async readRange(schema: TableSchema, range: KeyRange, notNull: string | null, signal: AbortSignal): Promise<Chunk> {
    const condition = rangeCondition(schema, range);
    const present = notNull === null ? null : `${quoteName(notNull)} IS NOT NULL`;
    // A range is an index range, whatever the statistics say; the whole table is best read from end to end.
    const planner = condition === null ? "" : "SET LOCAL enable_seqscan = off;";
    return await this.#read(schema, planner, [where([condition, present])], signal);
  }

  async readKeys(schema: TableSchema, keys: readonly Row[], signal: AbortSignal): Promise<Chunk> {
    const conditions: string[] = [];
    for (let at = 0; at < keys.length; at += keysPerStatement) {
      conditions.push(where([keysCondition(schema, keys.slice(at, at + keysPerStatement))]));
    }
    return await this.#read(schema, "SET LOCAL enable_seqscan = off;", conditions, signal);
  }

  /** All conditions in one snapshot. A version that no longer fits (a null, a new label) is brought up to date, and read again. */
  async #read(
    schema: TableSchema,
    planner: string,
    conditions: readonly string[],
    signal: AbortSignal,
  ): Promise<Chunk> {
    let version = schema;
    for (;;) {
      try {
        return await this.#readVersion(version, planner, conditions, signal);
      } catch (error) {
        if (error instanceof UnexpectedNull) {
          version = this.#versions.relax(version, error.column);
        } else if (error instanceof UnknownLabel) {
          const newer = await this.#catalog.newerLabels(version, signal);
          if (newer === version) throw labelError(version);
          version = newer;
        } else {
          throw error;
        }
      }
    }
  }

  async #readVersion(
    schema: TableSchema,
    planner: string,
    conditions: readonly string[],
    signal: AbortSignal,
  ): Promise<Chunk> {
    const decoder = new RowDecoder(schema);
    const rows: Row[] = [];
    const seen: (string | null)[] = [];
    const from = `SELECT ${nameList(schema.columns)} FROM ONLY ${quoteTable(schema.name)}`;
    const copies = conditions.map((condition) => `COPY (${from} ${condition}) TO STDOUT;`).join(" ");
    await this.#script(
      schema,
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ${planner}
       SELECT pg_current_snapshot()::text, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text;
       ${copies} COMMIT`,
      { row: (cells) => seen.push(...cells), copyRow: (line) => rows.push(decoder.copyRow(line)) },
      signal,
    );
    const [snapshot = null, time = null] = seen;
    const readTsUs = Number(time);
    return {
      schema,
      rows,
      view: PostgresSnapshot.parse(snapshot ?? ""),
      readTsUs,
      origin: readOrigin(schema, readTsUs),
    };
  }

  async #script(
    schema: TableSchema,
    sql: string,
    reader: Parameters<ServerSessions["read"]>[1],
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await this.#sessions.read(sql, reader, signal);
    } catch (error) {
      throw missingError(schema, error);
    }
  }

  /** Fewer rows than asked for where they are large: by the table's size, and by a look at some rows (TOAST is compressed). */
  async #rowsPerChunk(schema: TableSchema, chunkRows: number, signal: AbortSignal): Promise<number> {
    const cells: (string | null)[] = [];
    const table = quoteTable(schema.name);
    await this.#script(
      schema,
      `SELECT coalesce(avg(octet_length(sample::text)), 0)::bigint, (SELECT (CASE WHEN reltuples > 0
         THEN pg_table_size(oid) / reltuples ELSE 0 END)::bigint FROM pg_catalog.pg_class WHERE oid = ${regclass(schema)})
       FROM (SELECT ${nameList(schema.columns)} FROM ONLY ${table} LIMIT ${sampleRows}) sample`,
      { row: (row) => cells.push(...row) },
      signal,
    );
    const rowBytes = Math.max(1, ...cells.map(Number));
    return Math.max(1, Math.min(chunkRows, Math.floor(chunkBytes / rowBytes)));
  }
}

function regclass(schema: TableSchema): string {
  return `'${quoteTable(schema.name).replaceAll("'", "''")}'::regclass`;
}

function where(conditions: readonly (string | null)[]): string {
  const present = conditions.filter((condition) => condition !== null);
  return present.length === 0 ? "" : `WHERE ${present.map((condition) => `(${condition})`).join(" AND ")}`;
}

/** The key's columns as a table of their own. */
function keySchema(schema: TableSchema): TableSchema {
  const columns: readonly Column[] = keyColumns(schema);
  return { name: schema.name, columns, key: columns.map((_, index) => index) };
}

/** Of a row that was read, not changed: there is no transaction and no place in the WAL. */
function readOrigin(schema: TableSchema, tsUs: number): ChangeOrigin {
  return { tsUs, sequence: null, fields: [schema.name.schema, schema.name.table, null, null, null, null, null] };
}

function labelError(schema: TableSchema): DataTraceError {
  return shapeError("source.schema_change_unsupported", schema.name, "a label of an enum was renamed or removed");
}

/** The table, or a column of the version that is read, is not there any more: the stream will say the same. */
function missingError(schema: TableSchema, error: unknown): unknown {
  if (!(error instanceof DataTraceError) || error.code !== "source.query_failed") return error;
  if (error.detail["code"] === "42703") {
    return shapeError("source.schema_change_unsupported", schema.name, "one of its columns was dropped or renamed");
  }
  if (error.detail["code"] === "42P01" || error.detail["code"] === "3F000") {
    return new DataTraceError("source.table_missing", { detail: { table: tableId(schema.name) } });
  }
  return error;
}
