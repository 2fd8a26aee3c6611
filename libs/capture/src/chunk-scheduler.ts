import { type CaptureSource, DataTraceError, type Logger } from "@datatrace/core";
import { BackOff } from "./back-off.ts";
import type { CapturedTable } from "./captured-table.ts";
import type { ChunkWork } from "./chunk-read.ts";
import type { ChunkReader } from "./chunk-reader.ts";
import type { CaptureObserver } from "./observer.ts";
import type { TableSet } from "./table-set.ts";
import { Wakeup } from "./wakeup.ts";

export interface ChunkSchedulerOptions {
  readonly source: CaptureSource;
  readonly tables: TableSet;
  readonly reader: ChunkReader;
  /** Rows of a chunk where rows are small. */
  readonly chunkRows: number;
  /** Chunks in flight at once, and so the number of chunks whose rows are held. */
  readonly parallelChunks: number;
  readonly logger: Logger;
  readonly observer: CaptureObserver;
}

/** Rows of the first chunk of a table: nothing is known yet of their size. */
const firstChunkRows = 500;
/** Rows held at once, over all chunks in flight, from their read until their high watermark comes back. */
const heldBytes = 4 * 1024 * 1024;
const rereadKeys = 500;

/** Hands chunks to lanes: keys to read again first, then the tables' scans, spread over several tables. */
export class ChunkScheduler {
  readonly #options: ChunkSchedulerOptions;
  readonly #work = new Wakeup();

  constructor(options: ChunkSchedulerOptions) {
    this.#options = options;
  }

  /** A table may have something to read. */
  wake(): void {
    this.#work.wake();
  }

  /** Runs until the signal, or an error that is neither a table's own nor one to try again. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(Array.from({ length: this.#options.parallelChunks }, async () => await this.#lane(signal)));
  }

  async #lane(signal: AbortSignal): Promise<void> {
    const { reader } = this.#options;
    const wakeup = this.#work;
    const backOff = new BackOff({ firstMs: 100, maxMs: 5000 });
    for (;;) {
      const ticket = wakeup.ticket;
      let table: CapturedTable | null = null;
      let work: ChunkWork | null = null;
      try {
        table = this.#choose();
        if (table === null) {
          await wakeup.since(ticket, signal);
          continue;
        }
        work = await this.#take(table, signal);
        // While this lane planned, the others passed the table over.
        wakeup.wake();
        if (work === null) continue;
        const published = await reader.read(work, signal);
        if (!published) this.#giveBack(work);
        backOff.reset();
      } catch (error) {
        if (work !== null) this.#giveBack(work);
        signal.throwIfAborted();
        if (!(error instanceof DataTraceError) || table === null) throw error;
        await this.#recover(table, error, backOff, signal);
      }
      // What this lane has put back or planned may be another's to take.
      wakeup.wake();
    }
  }

  /** The table to work on next: keys first, then the one with the fewest chunks in flight. */
  #choose(): CapturedTable | null {
    let best: CapturedTable | null = null;
    let fewest = Number.POSITIVE_INFINITY;
    for (const table of this.#options.tables.all()) {
      if (!table.publishes || !table.followed) continue;
      if (table.rereads.hasWaiting) return table;
      const [scan] = table.scans;
      if (scan === undefined || !scan.hasWork || scan.inFlight >= fewest) continue;
      fewest = scan.inFlight;
      best = table;
    }
    return best;
  }

  async #take(table: CapturedTable, signal: AbortSignal): Promise<ChunkWork | null> {
    const { source, tables, chunkRows } = this.#options;
    const entries = table.rereads.take(rereadKeys);
    if (entries.length > 0) return { kind: "keys", table, entries };
    const [scan] = table.scans;
    const schema = table.version?.schema;
    if (scan === undefined || schema === undefined) return null;
    const range = await scan.take(source, schema, this.#rows(table, chunkRows), signal);
    if (range === null) return null;
    if (table.phase === "pending") {
      table.phase = "snapshotting";
      tables.touch(table);
    }
    return { kind: "range", table, scan, range };
  }

  #rows(table: CapturedTable, chunkRows: number): number {
    if (table.rowBytes === 0) return Math.min(chunkRows, firstChunkRows);
    const chunkBytes = heldBytes / this.#options.parallelChunks;
    return Math.max(1, Math.min(chunkRows, Math.floor(chunkBytes / table.rowBytes)));
  }

  #giveBack(work: ChunkWork): void {
    if (work.kind === "range") work.scan.giveBack(work.range);
    else work.table.rereads.giveBack(work.entries);
  }

  /** Trouble that passes is waited out; what the source says of the table otherwise stops the table. */
  async #recover(table: CapturedTable, error: DataTraceError, backOff: BackOff, signal: AbortSignal): Promise<void> {
    const { tables, logger, observer } = this.#options;
    if (error.retry === "timed") {
      observer.retried(error.code);
      logger.warn("chunk failed, is read again", { table: table.id, code: error.code, error: error.message });
      await backOff.wait(signal);
    } else if (error.code.startsWith("source.")) {
      if (!table.removed) tables.park(table, error);
    } else throw error;
  }
}
