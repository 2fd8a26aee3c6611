import type { CanonicalKind, Row } from "@datatrace/core";
import { typeEntry } from "@datatrace/postgres";
import type { BindMessage } from "@datatrace/postgres";
import { binaryCell } from "./binary-cell.ts";
import type { WriteCell } from "./binary-cell.ts";
import type { TargetType } from "./target-catalog.ts";

/**
 * Writes one column of these rows as an array in PostgreSQL's binary format, within a parameter that has begun; false
 * when a cell has no such form.
 */
export type BinaryColumn = (into: BindMessage, rows: readonly Row[], index: number) => boolean;

/** Dimensions, flags, element type, length, lower bound: `array_recv`. */
const headerBytes = 20;
const nullLength = -1;

/**
 * How a column of this kind is sent to this type in binary, which costs both sides far less than printing and reading
 * values; null where text is the way.
 */
export function binaryColumn(kind: CanonicalKind, type: TargetType): BinaryColumn | null {
  const write = binaryCell(kind, type);
  const entry = typeEntry(type.name);
  if (write === null || entry === null) return null;
  return (into, rows, index) => {
    into.reserve(headerBytes);
    const start = into.at;
    into.at += headerBytes;
    const nulls = writeCells(into, rows, index, write);
    if (nulls === null) return false;
    const { buffer } = into;
    buffer.writeInt32BE(1, start);
    buffer.writeInt32BE(nulls, start + 4);
    buffer.writeInt32BE(entry.oid, start + 8);
    buffer.writeInt32BE(rows.length, start + 12);
    buffer.writeInt32BE(1, start + 16);
    return true;
  };
}

/** 1 when some are NULL, else 0; null when one has no binary form. */
function writeCells(into: BindMessage, rows: readonly Row[], index: number, write: WriteCell): 0 | 1 | null {
  let nulls: 0 | 1 = 0;
  for (let place = 0; place < rows.length; place += 1) {
    const value = rows[place]?.[index];
    if (value === undefined) return null;
    if (value === null) {
      nulls = 1;
      into.reserve(4);
      into.at = into.buffer.writeInt32BE(nullLength, into.at);
    } else if (!write(into, value)) return null;
  }
  return nulls;
}
