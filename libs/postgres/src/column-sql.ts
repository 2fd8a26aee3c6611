import type { CanonicalType, Column, NativeType, ScalarType } from "@datatrace/core";
import { quoteName } from "./identifier.ts";
import { typeEntry } from "./native-type.ts";
import { sameType } from "./type-equality.ts";

/** What an enum type of a target is made from. */
export interface EnumDefinition {
  readonly name: string;
  readonly values: readonly string[];
}

/**
 * The column's type for DDL and casts: the source's own where it is one of PostgreSQL's (`varchar(20)`,
 * `numeric(10,2)[]`), else the one that holds every value of its canonical type. Built-in types are written with
 * `pg_catalog`, enums with `enumSchema`: the search path plays no part.
 */
export function columnTypeSql(column: Pick<Column, "type" | "native">, enumSchema: string): string {
  const { type, native } = column;
  const suffix = type.kind === "array" ? "[]" : "";
  const scalar = type.kind === "array" ? type.element : type;
  if (scalar.kind === "enum") return `${quoteName(enumSchema)}.${quoteName(elementName(type, native))}${suffix}`;
  const name = elementName(type, native);
  const entry = typeEntry(name);
  const own = { ...native, name };
  // The same name can mean something else in another database: it counts only when it means the same values.
  const same = entry !== null && sameType(entry.canonical(own), scalar);
  return (same ? nativeSql(own) : canonicalSql(scalar)) + suffix;
}

/** `"name" type [NOT NULL]` of CREATE TABLE and ADD COLUMN. */
export function columnSql(column: Column, enumSchema: string): string {
  return `${quoteName(column.name)} ${columnTypeSql(column, enumSchema)}${column.nullable ? "" : " NOT NULL"}`;
}

/** The enum type that a column needs, null when it needs none. */
export function columnEnum(column: Pick<Column, "type" | "native">): EnumDefinition | null {
  const scalar = column.type.kind === "array" ? column.type.element : column.type;
  return scalar.kind === "enum" ? { name: elementName(column.type, column.native), values: scalar.values } : null;
}

function elementName(type: CanonicalType, native: NativeType): string {
  return type.kind === "array" && native.name.startsWith("_") ? native.name.slice(1) : native.name;
}

function nativeSql({ name, length, scale }: NativeType): string {
  switch (name) {
    case "bpchar":
      return length === undefined ? "pg_catalog.bpchar" : `pg_catalog.bpchar(${length})`;
    case "numeric":
      return length === undefined ? "pg_catalog.numeric" : `pg_catalog.numeric(${length},${scale ?? 0})`;
    default:
      return length === undefined ? `pg_catalog.${name}` : `pg_catalog.${name}(${length})`;
  }
}

/** The type that holds every value of a canonical type. */
function canonicalSql(type: Exclude<ScalarType, { readonly kind: "enum" }>): string {
  const { precision, scale, length } = type as { precision?: number; scale?: number; length?: number };
  const limits = precision ?? length;
  const name = type.kind === "string" && length !== undefined ? "varchar" : canonicalNames[type.kind];
  if (limits === undefined) return `pg_catalog.${name}`;
  return type.kind === "decimal" ? `pg_catalog.${name}(${limits},${scale ?? 0})` : `pg_catalog.${name}(${limits})`;
}

const canonicalNames: Readonly<Record<Exclude<ScalarType["kind"], "enum">, string>> = {
  boolean: "bool",
  int16: "int2",
  int32: "int4",
  int64: "int8",
  float32: "float4",
  float64: "float8",
  decimal: "numeric",
  string: "text",
  bytes: "bytea",
  date: "date",
  time: "time",
  timestamp: "timestamp",
  timestamptz: "timestamptz",
  uuid: "uuid",
  json: "json",
};
