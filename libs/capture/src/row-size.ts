import type { Row, Value } from "@datatrace/core";

const sampledRows = 64;

/** Roughly the mean size of rows in memory and in the log, from a sample; 0 for none. */
export function rowBytes(rows: readonly Row[]): number {
  if (rows.length === 0) return 0;
  const step = Math.max(1, Math.floor(rows.length / sampledRows));
  let sizeBytes = 0;
  let count = 0;
  for (let index = 0; index < rows.length; index += step) {
    for (const cell of rows[index] ?? []) sizeBytes += cellBytes(cell);
    count += 1;
  }
  return Math.max(1, Math.round(sizeBytes / count));
}

function cellBytes(cell: Value): number {
  if (typeof cell === "string") return cell.length + 8;
  if (cell instanceof Uint8Array) return cell.length + 16;
  if (Array.isArray(cell)) return (cell as readonly Value[]).reduce<number>((sum, each) => sum + cellBytes(each), 16);
  return 8;
}
