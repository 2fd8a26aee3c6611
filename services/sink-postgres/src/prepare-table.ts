import { DataTraceError, tableId } from "@datatrace/core";
import type { Column, TableName, TableSchema, TargetTable } from "@datatrace/core";
import { columnEnum, columnSql, quoteName, quoteTable, quoteText } from "@datatrace/postgres";
import type { EnumDefinition, PipelinedSession } from "@datatrace/postgres";
import { arrayLiteral } from "./array-literal.ts";
import { shapeConflict } from "./shape-conflict.ts";
import { lockShapeSql } from "./helper-tables.ts";
import type { HelperTables } from "./helper-tables.ts";
import { readTableShape, readType } from "./target-catalog.ts";
import type { TargetTableShape, TargetType } from "./target-catalog.ts";
import { inTransaction } from "./transaction.ts";

/** What an earlier `prepare` of this delivery has recorded of a target table. */
export interface Unit {
  /** Names of the columns that were there when it returned. */
  readonly columns: readonly string[];
}

/** Null when this delivery has never made or adopted the table. */
export async function readUnit(
  session: PipelinedSession,
  tables: HelperTables,
  delivery: string,
  target: TableName,
): Promise<Unit | null> {
  const { rows } = await session.send({
    text: `SELECT to_json(columns) FROM ${tables.units}
      WHERE delivery = $1 AND target_schema = $2 AND target_table = $3`,
    values: [delivery, target.schema, target.table],
  });
  const text = rows[0]?.[0];
  return text === undefined || text === null ? null : { columns: JSON.parse(text) as string[] };
}

/**
 * Makes the target table hold the schema, in one transaction under the lock of all such changes, so that nobody sees a
 * half-made table and nobody makes it twice. Only creates and adds. Returns the table's shape afterwards.
 */
export async function prepareTable(
  session: PipelinedSession,
  tables: HelperTables,
  delivery: string,
  { target, schema, strategy }: TargetTable,
): Promise<TargetTableShape> {
  return inTransaction(session, async () => {
    await session.send({ text: lockShapeSql });
    // A change of shape that waits for a reader makes every later reader wait behind it: not for long.
    await session.send({ text: "SET LOCAL lock_timeout = '2s'" });
    const unit = await readUnit(session, tables, delivery, target);
    const existing = await readTableShape(session, target);
    const table = tableId(target);
    if (existing === null && unit !== null) throw new DataTraceError("sink.table_missing", { detail: { table } });
    if (existing !== null && unit === null && strategy === "fail") {
      throw new DataTraceError("sink.table_exists", { detail: { table } });
    }
    await prepareEnums(session, target, schema, existing);
    if (existing === null) await createTable(session, target, schema);
    else await addColumns(session, target, schema, existing, unit);

    const shape = await readTableShape(session, target);
    if (shape === null) throw new DataTraceError("sink.schema_conflict", { detail: { table, found: "not a table" } });
    const conflict = shapeConflict(target, schema, shape);
    if (conflict !== null) throw conflict;
    const columns = [...new Set([...(unit?.columns ?? []), ...schema.columns.map(({ name }) => name)])];
    if (unit === null || columns.length > unit.columns.length) {
      await session.send({
        text: `INSERT INTO ${tables.units} (delivery, target_schema, target_table, strategy, origin, columns)
          VALUES ($1, $2, $3, $4, $5, $6::text[])
          ON CONFLICT (delivery, target_schema, target_table) DO UPDATE SET columns = EXCLUDED.columns`,
        values: [
          delivery,
          target.schema,
          target.table,
          strategy,
          existing === null ? "created" : "adopted",
          arrayLiteral(columns),
        ],
      });
    }
    return shape;
  });
}

async function createTable(session: PipelinedSession, target: TableName, schema: TableSchema): Promise<void> {
  await createSchema(session, target.schema);
  // Only the key is NOT NULL: dropping that constraint at the source sends no event, and must not stop the table here.
  const columns = schema.columns.map((column, index) =>
    columnSql({ ...column, nullable: !schema.key.includes(index) }, target.schema),
  );
  const key = schema.key.map((index) => quoteName(schema.columns[index]?.name ?? ""));
  await session.send({
    text: `CREATE TABLE ${quoteTable(target)} (${[...columns, `PRIMARY KEY (${key.join(", ")})`].join(", ")})`,
  });
}

/** Looks before it creates: `IF NOT EXISTS` asks for the privilege to create even where there is nothing to do. */
async function createSchema(session: PipelinedSession, name: string): Promise<void> {
  const found = await session.send({
    text: "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1",
    values: [name],
  });
  if (found.rows.length === 0) await session.send({ text: `CREATE SCHEMA ${quoteName(name)}` });
}

async function addColumns(
  session: PipelinedSession,
  target: TableName,
  schema: TableSchema,
  shape: TargetTableShape,
  unit: Unit | null,
): Promise<void> {
  const present = new Set(shape.columns.map(({ name }) => name));
  const missing = schema.columns.filter(({ name }, index) => !present.has(name) && !schema.key.includes(index));
  for (const column of missing) {
    // It was there: adding it again would leave its old values out without a word (I6).
    if (unit?.columns.includes(column.name) === true) throw gone(target, column);
    await session.send({
      text: `ALTER TABLE ${quoteTable(target)} ADD COLUMN ${columnSql({ ...column, nullable: true }, target.schema)}`,
    });
  }
}

function gone(target: TableName, { name }: Column): DataTraceError {
  return new DataTraceError("sink.schema_conflict", {
    message: "A column of the target table was there before and is gone.",
    fix: "Restore the column with its values, or decommission the delivery and take a new snapshot.",
    detail: { table: tableId(target), column: name },
  });
}

/** Creates the enum types of columns to be made, and gives those of present columns the values that they lack. */
async function prepareEnums(
  session: PipelinedSession,
  target: TableName,
  schema: TableSchema,
  shape: TargetTableShape | null,
): Promise<void> {
  for (const column of schema.columns) {
    const wanted = columnEnum(column);
    if (wanted === null) continue;
    const present = shape?.columns.find(({ name }) => name === column.name);
    const found =
      present === undefined ? await readType(session, target.schema, wanted.name) : (present.element ?? present.type);
    if (found === null) await createEnum(session, target.schema, wanted);
    else if (found.labels !== null) await extendEnum(session, found, found.labels, wanted.values);
  }
}

async function createEnum(session: PipelinedSession, schema: string, { name, values }: EnumDefinition): Promise<void> {
  await createSchema(session, schema);
  const type = quoteTable({ schema, table: name });
  await session.send({ text: `CREATE TYPE ${type} AS ENUM (${values.map(quoteText).join(", ")})` });
}

/** A missing value gets the place that it has at the source. */
async function extendEnum(
  session: PipelinedSession,
  type: TargetType,
  labels: readonly string[],
  values: readonly string[],
): Promise<void> {
  const name = quoteTable({ schema: type.schema, table: type.name });
  for (const [place, value] of values.entries()) {
    if (labels.includes(value)) continue;
    const earlier = values[place - 1];
    const first = labels[0];
    const where =
      earlier === undefined
        ? first === undefined
          ? ""
          : ` BEFORE ${quoteText(first)}`
        : ` AFTER ${quoteText(earlier)}`;
    await session.send({ text: `ALTER TYPE ${name} ADD VALUE ${quoteText(value)}${where}` });
  }
}
