import { DataTraceError, tableId } from "@datatrace/core";
import type { TableName, TableSchema } from "@datatrace/core";
import { fits, keepsKeysApart } from "./column-fit.ts";
import type { TargetIndex, TargetTableShape } from "./target-catalog.ts";

/** Why this table cannot take rows of this schema exactly as they are; null when it can. Names, never values. */
export function shapeConflict(target: TableName, schema: TableSchema, shape: TargetTableShape): DataTraceError | null {
  const table = tableId(target);
  for (const [index, column] of schema.columns.entries()) {
    const found = shape.columns.find(({ name }) => name === column.name);
    const detail = { table, column: column.name };
    if (found === undefined) return conflict("The target table lacks a column of the key.", detail);
    // I6: a coarser type would round, cut or pad without an error.
    if (!fits(column, found)) {
      const type = found.type.name;
      return conflict("A column of the target cannot hold every value of the source's.", { ...detail, type });
    }
    if (schema.key.includes(index) && !keepsKeysApart(column, found)) {
      return conflict("Two keys that differ at the source may be equal in the target's key column.", detail);
    }
  }
  const keyNames = schema.key.map((index) => schema.columns[index]?.name ?? "");
  if (!shape.indexes.some((index) => decidesKey(index, keyNames))) {
    return conflict("The target table has no primary key or unique index on exactly the key's columns.", {
      table,
      key: keyNames.join(","),
    });
  }
  const names = new Set(schema.columns.map(({ name }) => name));
  const demanding = shape.columns.find(
    ({ name, notNull, hasDefault, computed }) => !names.has(name) && notNull && !hasDefault && !computed,
  );
  if (demanding === undefined) return null;
  return conflict("The target table has a column that must have a value, and that the source does not have.", {
    table,
    column: demanding.name,
  });
}

export function decidesKey(index: TargetIndex, keyNames: readonly string[]): boolean {
  return (
    index.decides && index.columns.length === keyNames.length && keyNames.every((name) => index.columns.includes(name))
  );
}

function conflict(message: string, detail: Readonly<Record<string, string>>): DataTraceError {
  return new DataTraceError("sink.schema_conflict", { message, detail });
}
