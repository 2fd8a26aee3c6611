import type { Row, TableSchema, Value } from "@datatrace/core";

/** A full-width row of which only the key cells are known; the others are null. `cells` are in key order. */
export function rowOfKey(schema: TableSchema, cells: Row): Row {
  const row: Value[] = Array.from({ length: schema.columns.length }, () => null);
  for (const [at, index] of schema.key.entries()) row[index] = cells[at] ?? null;
  return row;
}

/** The key cells of a row, in key order. */
export function keyOfRow(schema: TableSchema, row: Row): Row {
  return schema.key.map((index) => row[index] ?? null);
}
