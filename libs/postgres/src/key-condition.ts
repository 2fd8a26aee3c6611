import { invariant } from "@datatrace/core";
import type { Column, KeyRange, Row, TableSchema } from "@datatrace/core";
import { quoteName, quoteText } from "./identifier.ts";
import { textEncoder } from "./text-encoder.ts";

/** Columns of a table's key, in key order. */
export function keyColumns(schema: TableSchema): readonly Column[] {
  return schema.key.map((index) => {
    const column = schema.columns[index];
    invariant(column !== undefined, "a key index points at a column");
    return column;
  });
}

/** `"a","b"`. */
export function nameList(columns: readonly Column[]): string {
  return columns.map((column) => quoteName(column.name)).join(",");
}

/**
 * SQL condition for the keys of a range, null for every key. A row comparison: one index range, in the order that the
 * key's index has, whatever the types. The literals are untyped, so each takes the type of its column.
 */
export function rangeCondition(schema: TableSchema, range: KeyRange): string | null {
  const columns = keyColumns(schema);
  const key = `(${nameList(columns)})`;
  const parts: string[] = [];
  if (range.after !== null) parts.push(`${key} > (${literals(columns, range.after)})`);
  if (range.upTo !== null) parts.push(`${key} <= (${literals(columns, range.upTo)})`);
  return parts.length === 0 ? null : parts.join(" AND ");
}

/** SQL condition for exactly these keys; at least one. */
export function keysCondition(schema: TableSchema, keys: readonly Row[]): string {
  const columns = keyColumns(schema);
  const [first] = columns;
  // With one column a plain IN list: the planner turns it into one index scan.
  if (columns.length === 1 && first !== undefined) {
    return `${quoteName(first.name)} IN (${keys.map((key) => literals(columns, key)).join(",")})`;
  }
  return `(${nameList(columns)}) IN (${keys.map((key) => `(${literals(columns, key)})`).join(",")})`;
}

function literals(columns: readonly Column[], key: Row): string {
  invariant(key.length === columns.length, "a key has a cell per key column");
  return columns
    .map((column, index) => {
      const text = textEncoder(column.type)(key[index] ?? null);
      invariant(text !== null, "a key has no null");
      return quoteText(text);
    })
    .join(",");
}
