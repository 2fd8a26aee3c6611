/** Rows of text as aligned columns, two spaces apart; the first row is the head. Numbers (by their look) go to the right. */
export function textTable(rows: readonly (readonly string[])[]): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  }
  const right = widths.map((_, index) =>
    rows.slice(1).every((row) => /^([\d.,]+( [kMGTP]?B)?|-|)$/.test(row[index] ?? "")),
  );
  return rows.map((row) =>
    row
      .map((cell, index) =>
        right[index] === true ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}

const counts = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** `12,345`, or `-` for what is not known. */
export function countText(count: number | null): string {
  return count === null ? "-" : counts.format(count);
}

/** `45 s`, `12 min`, `3 h 20 min`: what is left, or how old something is. */
export function durationText(seconds: number): string {
  if (seconds < 120) return `${Math.ceil(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
