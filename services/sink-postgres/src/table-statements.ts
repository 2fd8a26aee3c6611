import { DataTraceError, SourceText, UNCHANGED, invariant, tableId } from "@datatrace/core";
import type { CanonicalKind, PartialUpdate, Row, Rows, TableName, TableSchema } from "@datatrace/core";
import { BindMessage, quoteName, quoteTable, textEncoder } from "@datatrace/postgres";
import type { BoundStatement, Statement, TextEncoder } from "@datatrace/postgres";
import { arrayElement, arrayLiteral } from "./array-literal.ts";
import { binaryColumn } from "./binary-array.ts";
import type { BinaryColumn } from "./binary-array.ts";
import type { HelperTables } from "./helper-tables.ts";
import type { TargetColumn, TargetTableShape, TargetType } from "./target-catalog.ts";

/** How one column of a table version reaches its column of the target. */
interface ColumnPlan {
  readonly index: number;
  /** Quoted. */
  readonly name: string;
  /** Type of the parameter: an array of it, one element a row. */
  readonly parameterType: string;
  /** `unnest` would take an array of arrays apart: such cells travel as text, and this cast follows. */
  readonly cast: string;
  readonly text: TextEncoder;
  /** Null where only text will do. */
  readonly binary: BinaryColumn | null;
  /** Its texts mean the same without quotes. */
  readonly isBare: boolean;
}

/**
 * Rows of one statement. A unit of 1,000 rows goes in several: the server works on the first while the next is built,
 * and one plan serves any number of rows, because each column is one array parameter.
 */
const rowsPerStatement = 250;

/** Kinds whose texts are digits, letters, signs and points only. */
const bareKinds: ReadonlySet<CanonicalKind> = new Set(["boolean", "int16", "int32", "int64", "float32", "float64"]);

const float4: TargetType = { schema: "pg_catalog", name: "float4", kind: "b", labels: null };

let lastName = 0;

/** The SQL that applies changes of one version of a source table to one target table, with its parameters. */
export class TableStatements {
  readonly #target: string;
  readonly #columns: readonly ColumnPlan[];
  readonly #keys: readonly ColumnPlan[];
  readonly #rest: readonly ColumnPlan[];
  readonly #upsert: PreparedStatement;
  readonly #delete: PreparedStatement;

  constructor(target: TableName, schema: TableSchema, shape: TargetTableShape) {
    invariant(schema.key.length > 0, "a table without a key reached the sink");
    this.#target = quoteTable(target);
    this.#columns = schema.columns.map((column, index) => {
      const targetColumn = shape.columns.find(({ name }) => name === column.name);
      if (targetColumn !== undefined) return columnPlan(schema, index, targetColumn);
      throw new DataTraceError("sink.schema_conflict", { detail: { table: tableId(target), column: column.name } });
    });
    this.#keys = pick(this.#columns, schema.key);
    this.#rest = this.#columns.filter(({ index }) => !schema.key.includes(index));
    lastName += 2;
    this.#upsert = new PreparedStatement(`datatrace_${lastName}`, this.#upsertText(), this.#columns);
    this.#delete = new PreparedStatement(`datatrace_${lastName + 1}`, this.#deleteText(), this.#keys);
  }

  *deletes(rows: Rows): Iterable<BoundStatement> {
    for (const part of parts(rows)) yield this.#delete.bind(part);
  }

  *upserts(rows: Rows): Iterable<BoundStatement> {
    for (const part of parts(rows)) yield this.#upsert.bind(part);
  }

  /**
   * Partial updates, grouped by the columns that they carry. Each answers the (topic, key) of the updates that found
   * no row and asked, having stored them as requests. Not prepared by name: there are as many texts as combinations.
   */
  *partials(updates: readonly PartialUpdate[], tables: HelperTables, delivery: string): Iterable<Statement> {
    for (const group of byCarriedColumns(updates)) {
      const carried = this.#rest.filter(({ index }) => group[0]?.row[index] !== UNCHANGED);
      const columns = [...this.#keys, ...carried];
      const first = columns.length + 1;
      yield {
        text: this.#partialText(carried, tables, first),
        values: [
          ...columns.map((column) =>
            columnLiteral(
              column,
              group.map(({ row }) => row),
            ),
          ),
          arrayLiteral(group.map(({ topic }) => topic)),
          arrayLiteral(group.map(({ key }) => bytesText(key))),
          arrayLiteral(group.map(({ ask }) => (ask ? "t" : "f"))),
          delivery,
        ],
      };
    }
  }

  #upsertText(): string {
    const names = this.#columns.map(({ name }) => name).join(", ");
    const keys = this.#keys.map(({ name }) => name).join(", ");
    const sets = this.#rest.map(({ name }) => `${name} = EXCLUDED.${name}`).join(", ");
    const action = sets === "" ? "DO NOTHING" : `DO UPDATE SET ${sets}`;
    return `INSERT INTO ${this.#target} (${names}) SELECT ${cells(this.#columns)} FROM ${unnested(this.#columns)}
      ON CONFLICT (${keys}) ${action}`;
  }

  #deleteText(): string {
    return `DELETE FROM ${this.#target} AS t USING ${unnested(this.#keys)} WHERE ${matches(this.#keys)}`;
  }

  #partialText(carried: readonly ColumnPlan[], tables: HelperTables, first: number): string {
    const columns = [...this.#keys, ...carried];
    const input = unnested(columns, [`$${first}::text[]`, `$${first + 1}::bytea[]`, `$${first + 2}::bool[]`]);
    // With nothing to set the row is only looked for.
    const found =
      carried.length === 0
        ? `SELECT x.place FROM input x JOIN ${this.#target} AS t ON ${matches(this.#keys)}`
        : `UPDATE ${this.#target} AS t SET ${carried.map((column) => `${column.name} = ${cell(column)}`).join(", ")}
             FROM input x WHERE ${matches(this.#keys)} RETURNING x.place`;
    return `WITH input AS MATERIALIZED (SELECT * FROM ${input}), found AS (${found})
      INSERT INTO ${tables.rereads} (delivery, topic, key)
      SELECT $${first + 3}, x.e0, x.e1 FROM input x
      WHERE x.e2 AND x.place NOT IN (SELECT place FROM found)
      ON CONFLICT (delivery, topic, key) DO UPDATE SET asked_at = now()
      RETURNING topic, encode(key, 'hex')`;
  }
}

/** A row's width in the first message of a statement, in bytes; then it is known. */
const firstRowBytes = 100;
/** Rows of the next message may be wider. */
const spare = 1.2;

/** A statement with a parameter for each of its columns, and the rows of one execution in it. */
class PreparedStatement {
  readonly #name: string;
  readonly #text: string;
  readonly #columns: readonly ColumnPlan[];
  #rowBytes = firstRowBytes;

  constructor(name: string, text: string, columns: readonly ColumnPlan[]) {
    this.#name = name;
    this.#text = text;
    this.#columns = columns;
  }

  bind(rows: readonly Row[]): BoundStatement {
    const message = new BindMessage(this.#name, this.#columns.length, Math.ceil(rows.length * this.#rowBytes));
    for (const column of this.#columns) {
      message.beginParameter();
      // A cell without a binary form (the source's own text, say) makes its column text, for the target to judge.
      if (column.binary?.(message, rows, column.index) === true) message.endParameter("binary");
      else message.text(columnLiteral(column, rows));
    }
    const bind = message.finish();
    this.#rowBytes = (bind.length / Math.max(1, rows.length)) * spare;
    return { name: this.#name, text: this.#text, bind };
  }
}

function columnPlan(schema: TableSchema, index: number, target: TargetColumn): ColumnPlan {
  const column = schema.columns[index];
  invariant(column !== undefined, "a column index of the schema's own");
  const nested = target.element !== null;
  // A float4's text means another number when read as float8: it is read as what it is, and widened by the server.
  const scalar = typeSql(column.type.kind === "float32" ? float4 : target.type);
  return {
    index,
    name: quoteName(column.name),
    parameterType: nested ? "pg_catalog.text" : scalar,
    cast: nested ? `::${typeSql(target.type)}` : "",
    text: textEncoder(column.type),
    binary: binaryColumn(column.type.kind, column.type.kind === "float32" ? float4 : target.type),
    isBare: bareKinds.has(column.type.kind),
  };
}

function typeSql(type: TargetType): string {
  return `${quoteName(type.schema)}.${quoteName(type.name)}`;
}

function pick(columns: readonly ColumnPlan[], indexes: readonly number[]): readonly ColumnPlan[] {
  return columns.filter(({ index }) => indexes.includes(index));
}

/** `unnest($1::type[], …) AS x(c0, …)` with a place for each row when there are extra columns `e0`, …. */
function unnested(columns: readonly ColumnPlan[], extra: readonly string[] = []): string {
  const arrays = columns.map(({ parameterType }, place) => `$${place + 1}::${parameterType}[]`);
  const names = columns.map(({ index }) => `c${index}`);
  const extraNames = extra.map((_, place) => `e${place}`);
  const ordinality = extra.length === 0 ? "" : " WITH ORDINALITY";
  const place = extra.length === 0 ? [] : ["place"];
  return `unnest(${[...arrays, ...extra].join(", ")})${ordinality} AS x(${[...names, ...extraNames, ...place].join(", ")})`;
}

function cell({ index, cast }: ColumnPlan): string {
  return `x.c${index}${cast}`;
}

function cells(columns: readonly ColumnPlan[]): string {
  return columns.map(cell).join(", ");
}

function matches(keys: readonly ColumnPlan[]): string {
  return keys.map((column) => `t.${column.name} = ${cell(column)}`).join(" AND ");
}

/** The cells of one column as an array literal. The busiest loop of the sink. */
function columnLiteral({ index, text, isBare }: ColumnPlan, rows: readonly Row[]): string {
  let literal = "{";
  for (let place = 0; place < rows.length; place += 1) {
    const value = rows[place]?.[index];
    invariant(value !== undefined, "a row is as wide as its schema");
    if (place > 0) literal += ",";
    const cellText = text(value);
    literal += isBare && cellText !== null && !(value instanceof SourceText) ? cellText : arrayElement(cellText);
  }
  return `${literal}}`;
}

function* parts(rows: Rows): Iterable<readonly Row[]> {
  for (let start = 0; start < rows.length; start += rowsPerStatement) yield rows.slice(start, start + rowsPerStatement);
}

function byCarriedColumns(updates: readonly PartialUpdate[]): Iterable<readonly PartialUpdate[]> {
  return Map.groupBy(updates, ({ row }) => row.map((value) => (value === UNCHANGED ? "0" : "1")).join("")).values();
}

/** The hex form that `bytea` reads. */
export function bytesText(bytes: Uint8Array): string {
  return String.raw`\x` + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
