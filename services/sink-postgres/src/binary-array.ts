import type { CanonicalKind, Row } from "@datatrace/core";
import { typeEntry } from "@datatrace/postgres";
import { CellBytes, binaryCell } from "./binary-cell.ts";
import type { WriteCell } from "./binary-cell.ts";
import type { TargetType } from "./target-catalog.ts";

/** One column of these rows as an array in PostgreSQL's binary format; null when a cell has no such form. */
export type BinaryColumn = (rows: readonly Row[], index: number) => Buffer | null;

/** Dimensions, flags, element type, length, lower bound: `array_recv`. */
const headerBytes = 20;
/** Enough for a cell of most columns, so that the buffer seldom has to grow. */
const usualCellBytes = 16;

/**
 * How a column of this kind is sent to this type in binary, which costs both sides far less than printing and reading
 * values; null where text is the way.
 */
export function binaryColumn(kind: CanonicalKind, type: TargetType): BinaryColumn | null {
  const write = binaryCell(kind, type);
  const entry = typeEntry(type.name);
  if (write === null || entry === null) return null;
  let cellBytes = usualCellBytes;
  return (rows, index) => {
    const bytes = new CellBytes(headerBytes + Math.ceil(rows.length * cellBytes));
    bytes.at = headerBytes;
    const nulls = writeCells(bytes, rows, index, write);
    if (nulls === null) return null;
    const { buffer, at } = bytes;
    buffer.writeInt32BE(1, 0);
    buffer.writeInt32BE(nulls, 4);
    buffer.writeInt32BE(entry.oid, 8);
    buffer.writeInt32BE(rows.length, 12);
    buffer.writeInt32BE(1, 16);
    // The next rows of the column are likely to be as wide.
    cellBytes = Math.max(usualCellBytes, ((at - headerBytes) / Math.max(1, rows.length)) * 1.25);
    return buffer.subarray(0, at);
  };
}

/** 1 when some are NULL, else 0; null when one has no binary form. */
function writeCells(bytes: CellBytes, rows: readonly Row[], index: number, write: WriteCell): 0 | 1 | null {
  let nulls: 0 | 1 = 0;
  for (let place = 0; place < rows.length; place += 1) {
    const value = rows[place]?.[index];
    if (value === undefined) return null;
    if (value === null) {
      nulls = 1;
      bytes.reserve(4);
      bytes.at = bytes.buffer.writeInt32BE(-1, bytes.at);
    } else if (!write(bytes, value)) return null;
  }
  return nulls;
}
