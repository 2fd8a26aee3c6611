import { invariant } from "@datatrace/core";
import type { RowReader, TextRow } from "@datatrace/core";

export interface CompareOptions {
  /** How many keys of differing rows to give back: 0 (the default) keeps the result free of cell values (I8). */
  readonly keepKeys?: number;
}

/** Counts of one comparison. Equal tables have `differences === 0` and no column on one side only. */
export interface TableComparison {
  readonly sourceRows: number;
  readonly targetRows: number;
  /** Keys that the target lacks. */
  readonly missing: number;
  /** Keys that only the target has. */
  readonly extra: number;
  /** Keys on both sides whose rows differ. */
  readonly changed: number;
  readonly differences: number;
  /** Columns that one side lacks. They are left out of the rows' comparison, and count as a difference each. */
  readonly columnsMissing: readonly string[];
  readonly columnsExtra: readonly string[];
  /** Up to `keepKeys` keys, with what is wrong with each. They hold cell values: never for a log. */
  readonly keys: readonly { readonly key: string; readonly kind: "missing" | "extra" | "changed" }[];
}

/** A pull of one row at a time over batches, which checks the order that the comparison rests on. */
class RowCursor {
  readonly #batches: AsyncIterator<readonly TextRow[]>;
  #batch: readonly TextRow[] = [];
  #index = 0;
  #last: Buffer | null = null;
  /** The row under the cursor with its key's bytes, null at the end. */
  current: { readonly row: TextRow; readonly keyBytes: Buffer } | null = null;
  rows = 0;

  constructor(batches: AsyncIterable<readonly TextRow[]>) {
    this.#batches = batches[Symbol.asyncIterator]();
  }

  async next(): Promise<void> {
    while (this.#index >= this.#batch.length) {
      const step = await this.#batches.next();
      if (step.done === true) {
        this.current = null;
        return;
      }
      this.#batch = step.value;
      this.#index = 0;
    }
    const row = this.#batch[this.#index];
    this.#index += 1;
    invariant(row !== undefined, "a batch has a row at each index");
    const keyBytes = Buffer.from(row.key);
    // A reader in another order would make equal tables differ, or differing ones pass as missing plus extra.
    invariant(this.#last === null || Buffer.compare(this.#last, keyBytes) < 0, "rows come in strict key order");
    this.#last = keyBytes;
    this.rows += 1;
    this.current = { row, keyBytes };
  }

  async close(): Promise<void> {
    await this.#batches.return?.();
  }
}

/** A table that is not there has no columns and no rows. */
async function* noRows(): AsyncIterable<readonly TextRow[]> {
  // Nothing to yield.
}

/**
 * Merges two ordered readers of the same table and counts what differs. Streams: one batch of each side is in memory.
 * The result tells about two snapshots; for live tables stop the writers (or use a watermark) first.
 */
export async function compareTables(
  source: RowReader,
  target: RowReader,
  options: CompareOptions,
  signal: AbortSignal,
): Promise<TableComparison> {
  const keepKeys = options.keepKeys ?? 0;
  const sourceColumns = await source.columns(signal);
  const targetColumns = await target.columns(signal);
  const shared = sourceColumns.filter((name) => targetColumns.includes(name));
  const columnsMissing = sourceColumns.filter((name) => !targetColumns.includes(name));
  const columnsExtra = targetColumns.filter((name) => !sourceColumns.includes(name));
  const counts = { missing: 0, extra: 0, changed: 0 };
  const keys: { key: string; kind: keyof typeof counts }[] = [];
  function note(kind: keyof typeof counts, key: string): void {
    counts[kind] += 1;
    if (keys.length < keepKeys) keys.push({ key, kind });
  }

  const left = new RowCursor(sourceColumns.length === 0 ? noRows() : source.read(shared, signal));
  const right = new RowCursor(targetColumns.length === 0 ? noRows() : target.read(shared, signal));
  try {
    await Promise.all([left.next(), right.next()]);
    for (;;) {
      const a = left.current;
      const b = right.current;
      if (a === null && b === null) break;
      const order = a === null ? 1 : b === null ? -1 : Buffer.compare(a.keyBytes, b.keyBytes);
      if (a !== null && order < 0) {
        note("missing", a.row.key);
        await left.next();
      } else if (b !== null && order > 0) {
        note("extra", b.row.key);
        await right.next();
      } else if (a !== null && b !== null) {
        if (a.row.row !== b.row.row) note("changed", a.row.key);
        await Promise.all([left.next(), right.next()]);
      }
    }
  } finally {
    await Promise.all([left.close(), right.close()]);
  }
  return {
    sourceRows: left.rows,
    targetRows: right.rows,
    ...counts,
    differences: counts.missing + counts.extra + counts.changed + columnsMissing.length + columnsExtra.length,
    columnsMissing,
    columnsExtra,
    keys,
  };
}
