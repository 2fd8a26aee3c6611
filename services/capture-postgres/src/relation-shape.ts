import { DataTraceError, tableId } from "@datatrace/core";
import type { Column, ErrorCode, NativeType, TableName, TableSchema } from "@datatrace/core";
import { columnType, sameNative } from "@datatrace/postgres";
import type { CatalogTable, CatalogType, RelationMessage } from "@datatrace/postgres";

/** A column of a Relation message, which knows neither nullability nor, for an enum, whether its labels are of today. */
export type RelationColumns = readonly Pick<Column, "name" | "type" | "native">[];

/** What a Relation's columns are: `lookup` = a type that is not built in must be read from the catalog first. */
export type RelationShape =
  | { readonly kind: "columns"; readonly columns: RelationColumns }
  | { readonly kind: "lookup" }
  | { readonly kind: "uncarried"; readonly error: DataTraceError };

export function relationShape(relation: RelationMessage, types: ReadonlyMap<number, CatalogType>): RelationShape {
  const columns: Pick<Column, "name" | "type" | "native">[] = [];
  for (const { name, typeOid, typmod } of relation.columns) {
    const carried = columnType(typeOid, typmod, types);
    if ("uncarried" in carried) {
      if (!types.has(typeOid)) return { kind: "lookup" };
      return { kind: "uncarried", error: uncarried(relation, name, carried.uncarried) };
    }
    columns.push({ name, ...carried });
  }
  return { kind: "columns", columns };
}

/** How a Relation's columns follow from an earlier version. */
export type ShapeChange =
  | { readonly kind: "same" }
  /** Columns were added at the end. */
  | { readonly kind: "wider" }
  /** The first columns only: a version of before the others were added, or they have been dropped. */
  | { readonly kind: "narrower"; readonly missing: readonly Column[] }
  | { readonly kind: "changed"; readonly what: string };

/** Enum labels are left out: which labels a version has is settled when a label comes that it does not know. */
export function compareShape(before: TableSchema, columns: RelationColumns): ShapeChange {
  for (const [index, column] of before.columns.entries()) {
    const now = columns[index];
    if (now === undefined) return { kind: "narrower", missing: before.columns.slice(index) };
    if (column.name !== now.name) {
      const gone = !columns.some((other) => other.name === column.name);
      const what = gone ? `column ${column.name} was dropped or renamed` : `the order of its columns changed`;
      return { kind: "changed", what };
    }
    if (!sameNative(column.native, now.native)) {
      const what = `the type of column ${column.name} changed from ${typeName(column.native)} to ${typeName(now.native)}`;
      return { kind: "changed", what };
    }
  }
  return columns.length === before.columns.length ? { kind: "same" } : { kind: "wider" };
}

/** Enum columns whose labels are no longer a superset of the earlier version's, in words; null when all are. */
export function lostLabels(before: TableSchema, columns: RelationColumns): string | null {
  for (const [index, column] of before.columns.entries()) {
    const was = labelsOf(column);
    const now = new Set(labelsOf(columns[index]));
    if (was.some((label) => !now.has(label))) return `a label of the enum of column ${column.name} was renamed`;
  }
  return null;
}

/** What keeps the stream from telling this table's rows apart; null when its replica identity has the whole key. */
export function identityError(relation: RelationMessage, key: readonly string[]): DataTraceError | null {
  const name = { schema: relation.schema, table: relation.table };
  if (relation.replicaIdentity === "f") return null;
  const identity = relation.columns.filter((column) => column.identity).map((column) => column.name);
  const covered = key.every((column) => identity.includes(column));
  if (relation.replicaIdentity === "d" && (!covered || identity.length !== key.length)) {
    const what =
      identity.length === 0
        ? "its primary key was dropped"
        : `its primary key changed from (${key.join(", ")}) to (${identity.join(", ")})`;
    return shapeError("source.schema_change_unsupported", name, what);
  }
  return covered ? null : shapeError("source.replica_identity", name, "its replica identity does not carry its key");
}

/** A primary key in the catalog other than the version's. */
export function primaryKeyError(table: CatalogTable, key: readonly string[]): DataTraceError | null {
  const numbers = table.primaryKey ?? [];
  const names = numbers.map((number) => table.columns.find((column) => column.number === number)?.name ?? "?");
  if (names.length === key.length && names.every((name, index) => name === key[index])) return null;
  const what =
    names.length === 0
      ? "its primary key was dropped"
      : `its primary key changed from (${key.join(", ")}) to (${names.join(", ")})`;
  return shapeError("source.schema_change_unsupported", table.name, what);
}

/** The error of one table: only this one stops. */
export function shapeError(code: ErrorCode, table: TableName, what: string): DataTraceError {
  const id = tableId(table);
  const fixes: Partial<Record<ErrorCode, string>> = {
    "source.replica_identity": `ALTER TABLE ${id} REPLICA IDENTITY DEFAULT; then take the table out of the pipeline, drop the target table, and add it again.`,
  };
  const fix = fixes[code];
  return new DataTraceError(code, {
    message: `Table ${id} cannot be followed any further: ${what}. Only this table has stopped.`,
    ...(fix === undefined ? {} : { fix }),
  });
}

function uncarried(relation: RelationMessage, column: string, type: string): DataTraceError {
  const name = { schema: relation.schema, table: relation.table };
  return shapeError("source.type_unsupported", name, `column ${column} has the type ${type}, which is not carried`);
}

function labelsOf(column: Pick<Column, "type"> | undefined): readonly string[] {
  const type = column?.type.kind === "array" ? column.type.element : column?.type;
  return type?.kind === "enum" ? type.values : [];
}

/** `numeric(10,2)`. */
export function typeName({ name, length, scale }: NativeType): string {
  if (length === undefined) return name;
  return scale === undefined ? `${name}(${length})` : `${name}(${length},${scale})`;
}
