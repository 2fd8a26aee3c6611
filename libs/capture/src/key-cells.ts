import { Buffer } from "node:buffer";
import { invariant, type Row, SourceText, type Value } from "@datatrace/core";

/** A cell of a key as JSON: what JSON has no word for is an object of one letter. */
export type JsonCell =
  | null
  | boolean
  | number
  | string
  | readonly JsonCell[]
  /** bigint */
  | { readonly i: string }
  /** bytes, base64 */
  | { readonly b: string }
  /** a number that JSON lacks: NaN, ±Infinity, -0 */
  | { readonly f: string }
  /** a value as the source prints it */
  | { readonly t: string };

/** Key cells (in key order) for a stored record. Exact: `cellsFromJson` gives the same values back. */
export function cellsToJson(cells: Row): readonly JsonCell[] {
  return cells.map(toJson);
}

/** The inverse of `cellsToJson`. */
export function cellsFromJson(cells: readonly JsonCell[]): Row {
  return cells.map(fromJson);
}

/** One text per key, for comparing two boundaries of the same table's key ranges. */
export function cellsText(cells: Row | null): string {
  return cells === null ? "" : JSON.stringify(cellsToJson(cells));
}

function toJson(value: Value): JsonCell {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "bigint") return { i: value.toString() };
  if (typeof value === "number") {
    return Number.isFinite(value) && !Object.is(value, -0) ? value : { f: Object.is(value, -0) ? "-0" : String(value) };
  }
  if (value instanceof Uint8Array) return { b: Buffer.from(value).toString("base64") };
  if (value instanceof SourceText) return { t: value.text };
  invariant(typeof value !== "symbol", "every cell of a key is known");
  return value.map(toJson);
}

function fromJson(cell: JsonCell): Value {
  if (cell === null || typeof cell !== "object") return cell;
  if (isArray(cell)) return cell.map(fromJson);
  if ("i" in cell) return BigInt(cell.i);
  if ("f" in cell) return Number(cell.f);
  if ("b" in cell) return Uint8Array.from(Buffer.from(cell.b, "base64"));
  return new SourceText(cell.t);
}

function isArray(cell: JsonCell & object): cell is readonly JsonCell[] {
  return Array.isArray(cell);
}
