import type { CaptureSource, KeyRange, TableSchema } from "@datatrace/core";
import { nothingRead, ScanProgress, type StoredProgress } from "./scan-progress.ts";

/** A scan as it is stored. */
export interface StoredScan {
  /** Only rows where this column is not null (after ADD COLUMN); null: every row. */
  readonly column: string | null;
  readonly progress: StoredProgress;
}

export const wholeTable: StoredScan = { column: null, progress: nothingRead };

/** One reading of a table, in ranges: its snapshot, or the rows that a new column gave a value to. */
export class TableScan {
  readonly column: string | null;
  readonly progress: ScanProgress;
  #waiting: KeyRange[];
  #ranges: AsyncIterator<KeyRange> | null = null;
  #rangeRows = 0;
  #planning = false;
  #started: boolean;
  #inFlight = 0;

  constructor({ column, progress }: StoredScan) {
    this.column = column;
    this.progress = new ScanProgress(progress);
    this.#waiting = [...this.progress.gaps];
    this.#started = progress.upTo !== null || progress.ahead.length > 0;
  }

  /** A range was handed out, now or before a restart: a change of now may lie in a part that was read before it. */
  get started(): boolean {
    return this.#started;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** A range may be had, without waiting for a plan that somebody else is asking for. */
  get hasWork(): boolean {
    return this.#waiting.length > 0 || (!this.progress.fullyPlanned && !this.#planning);
  }

  /** The next range to read, or null when every range is handed out. */
  async take(
    source: CaptureSource,
    schema: TableSchema,
    chunkRows: number,
    signal: AbortSignal,
  ): Promise<KeyRange | null> {
    const range = this.#waiting.shift() ?? (await this.#plan(source, schema, chunkRows, signal));
    if (range === null) return null;
    this.#started = true;
    this.#inFlight += 1;
    return range;
  }

  /** The range was not published: somebody else may take it. */
  giveBack(range: KeyRange): void {
    this.#inFlight -= 1;
    this.#waiting.push(range);
  }

  finish(range: KeyRange): void {
    this.#inFlight -= 1;
    this.progress.finish(range);
  }

  stored(): StoredScan {
    return { column: this.column, progress: this.progress.stored() };
  }

  async #plan(
    source: CaptureSource,
    schema: TableSchema,
    chunkRows: number,
    signal: AbortSignal,
  ): Promise<KeyRange | null> {
    if (this.progress.fullyPlanned) return null;
    this.#planning = true;
    try {
      // Rows turned out to be larger or smaller than thought: the rest of the plan is made anew.
      if (chunkRows > this.#rangeRows * 2 || chunkRows < this.#rangeRows / 2) await this.#endPlan();
      this.#ranges ??= source.planChunks(schema, this.progress.planFrom, chunkRows, signal)[Symbol.asyncIterator]();
      this.#rangeRows = chunkRows;
      const next = await this.#ranges.next();
      // A plan always ends with an open range: keys beyond the last one that was there are in it.
      const range = next.done === true ? { after: this.progress.planFrom, upTo: null } : next.value;
      this.progress.plan(range);
      return range;
    } catch (error) {
      this.#ranges = null;
      throw error;
    } finally {
      this.#planning = false;
    }
  }

  async #endPlan(): Promise<void> {
    const ranges = this.#ranges;
    this.#ranges = null;
    await ranges?.return?.();
  }
}
