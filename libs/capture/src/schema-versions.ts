import { isDeepStrictEqual } from "node:util";
import type { CanonicalType, Column, TableSchema } from "@datatrace/core";

/**
 * Who says what the table looks like. `stream`: in log order, so it may lag behind the catalog; it knows nothing of
 * nullability. `chunk`: a read of a moment ago. `catalog`: the table of now.
 */
export type SchemaWitness = "stream" | "chunk" | "catalog";

export type VersionMatch =
  /** `versions[index]` is this version; `nullable` names columns that must become nullable in it. */
  | { readonly kind: "known"; readonly index: number; readonly nullable: readonly number[] }
  /** A version not met before, to stand at `index`; `columns` are new since the one before it. */
  | {
      readonly kind: "new";
      readonly index: number;
      readonly schema: TableSchema;
      readonly columns: readonly string[];
      /** It lies between two known ones: the later one's columns are not news. */
      readonly between: boolean;
    }
  /** A change that is not carried: something other than added columns. */
  | { readonly kind: "incompatible" };

/**
 * Finds a table's shape among its published versions, oldest first. The first is the newest that the stream has shown,
 * which never goes back. The only changes carried are added columns and added labels of an enum, so that the versions
 * form a chain, and a shape from the stream that the catalog has overtaken has its place in it.
 */
export function matchVersion(
  versions: readonly TableSchema[],
  incoming: TableSchema,
  witness: SchemaWitness,
): VersionMatch {
  const last = versions.length - 1;
  const from = witness === "catalog" ? last : 0;
  for (let index = from; index <= last; index += 1) {
    const version = versions[index];
    if (version !== undefined && sameShape(version, incoming)) {
      return { kind: "known", index, nullable: witness === "catalog" ? newlyNullable(version, incoming) : [] };
    }
  }
  for (let index = last; index >= from; index -= 1) {
    const version = versions[index];
    const next = versions[index + 1];
    if (version === undefined || !extendsShape(version, incoming)) continue;
    if (next !== undefined && !extendsShape(incoming, next)) continue;
    const schema = publishedSchema(version, incoming);
    const known = new Set(version.columns.map((column) => column.name));
    const columns = schema.columns.map((column) => column.name).filter((name) => !known.has(name));
    return { kind: "new", index: index + 1, schema, columns, between: next !== undefined };
  }
  return { kind: "incompatible" };
}

/**
 * A version as it is published: what was nullable stays so, and a new column is nullable, since rows that lie in the log
 * and in targets do not have it.
 */
function publishedSchema(before: TableSchema, incoming: TableSchema): TableSchema {
  const known = new Map(before.columns.map((column) => [column.name, column]));
  return {
    ...incoming,
    columns: incoming.columns.map((column) => ({ ...column, nullable: known.get(column.name)?.nullable ?? true })),
  };
}

function newlyNullable(version: TableSchema, incoming: TableSchema): readonly number[] {
  return incoming.columns.flatMap((column, index) =>
    column.nullable && version.columns[index]?.nullable === false ? [index] : [],
  );
}

/** The same columns in the same order, and the same key; nullability aside. */
function sameShape(a: TableSchema, b: TableSchema): boolean {
  return (
    a.columns.length === b.columns.length &&
    a.columns.every((column, index) => sameColumn(column, b.columns[index])) &&
    sameKey(a, b)
  );
}

/** `newer` has every column of `older` in the same order, and more: other columns, or labels in an enum. */
function extendsShape(older: TableSchema, newer: TableSchema): boolean {
  if (newer.columns.length < older.columns.length || !sameKey(older, newer) || sameShape(older, newer)) return false;
  let at = 0;
  for (const column of newer.columns) {
    const before = older.columns[at];
    if (before !== undefined && carriesOn(before, column)) at += 1;
  }
  return at === older.columns.length;
}

/** The same column, which may have got more labels. */
function carriesOn(before: Column, now: Column): boolean {
  return (
    sameIdentity(before, now) && (isDeepStrictEqual(before.type, now.type) || hasMoreLabels(before.type, now.type))
  );
}

function hasMoreLabels(before: CanonicalType, now: CanonicalType): boolean {
  if (before.kind === "array" && now.kind === "array") return hasMoreLabels(before.element, now.element);
  return before.kind === "enum" && now.kind === "enum" && before.values.every((label) => now.values.includes(label));
}

function sameColumn(a: Column, b: Column | undefined): boolean {
  return b !== undefined && sameIdentity(a, b) && isDeepStrictEqual(a.type, b.type);
}

/** A column that was dropped and made again under its name has another number. */
function sameIdentity(a: Column, b: Column): boolean {
  const sameNumber = a.number === undefined || b.number === undefined || a.number === b.number;
  return sameNumber && a.name === b.name && isDeepStrictEqual(a.native, b.native);
}

function sameKey(a: TableSchema, b: TableSchema): boolean {
  return isDeepStrictEqual(keyNames(a), keyNames(b));
}

function keyNames(schema: TableSchema): readonly (string | undefined)[] {
  return schema.key.map((index) => schema.columns[index]?.name);
}
