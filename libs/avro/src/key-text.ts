import { Buffer } from "node:buffer";
import { type Row, SourceText, type TableSchema, type Value } from "@datatrace/core";

/**
 * The key of a row as JSON text, `{"id":42}`: what `__debezium.newkey` and `__debezium.oldkey` hold. Integers of any
 * size are JSON numbers, decimals their text, bytes base64.
 */
export function keyJson(schema: TableSchema, row: Row): string {
  const cells = schema.key.map((index) => `${JSON.stringify(nameOf(schema, index))}:${jsonOf(row[index] ?? null)}`);
  return `{${cells.join(",")}}`;
}

/** The key of a row for a person to read: `id=42`, `region=eu, id=42`. */
export function keyText(schema: TableSchema, row: Row): string {
  return schema.key.map((index) => `${nameOf(schema, index)}=${plainText(row[index] ?? null)}`).join(", ");
}

function nameOf(schema: TableSchema, index: number): string {
  return schema.columns[index]?.name ?? "";
}

function plainText(value: Value): string {
  return typeof value === "string" ? value : jsonOf(value);
}

function jsonOf(value: Value): string {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "symbol") return "null";
  if (typeof value === "number" && !Number.isFinite(value)) return JSON.stringify(String(value));
  if (value instanceof SourceText) return JSON.stringify(value.text);
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString("base64"));
  if (Array.isArray(value)) return `[${(value as readonly Value[]).map(jsonOf).join(",")}]`;
  return JSON.stringify(value);
}
