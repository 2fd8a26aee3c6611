import { rowKeyIdentity, UnexpectedNull } from "@datatrace/avro";
import { type Chunk, failpoint, invariant, type Logger, rereadsTopic, type Row } from "@datatrace/core";
import type { CapturedTable } from "./captured-table.ts";
import type { ChunkRead } from "./chunk-read.ts";
import type { Draft } from "./draft.ts";
import { rowBytes } from "./row-size.ts";
import type { TableBinding, TableSet } from "./table-set.ts";

/** Publishes the rows of chunks as `r` events, at the place in the stream where their high watermark came back. */
export class ChunkPublisher {
  readonly #tables: TableSet;
  readonly #snapshotOnly: boolean;
  readonly #logger: Logger;

  /** `snapshotOnly`: a table that is read whole is done, its changes are published no more. */
  constructor(tables: TableSet, snapshotOnly: boolean, logger: Logger) {
    this.#tables = tables;
    this.#snapshotOnly = snapshotOnly;
    this.#logger = logger;
  }

  /** Rows, progress and answered requests go into the same draft, and so into the same append. */
  async publish(
    draft: Draft,
    read: ChunkRead,
    chunk: Chunk,
    binding: TableBinding,
    processedTsUs: number,
    signal: AbortSignal,
  ): Promise<void> {
    failpoint("capture.before_chunk_publish");
    const { work, window } = read;
    const { table, version } = binding;
    const common = { op: "r", before: null, origin: chunk.origin, snapshot: "incremental", processedTsUs } as const;
    for (let at = 0; at < chunk.rows.length;) {
      const row = chunk.rows[at] as Row;
      // Changes since the low watermark are newer than the row (I4).
      const after = window.size === 0 ? row : window.resolve(rowKeyIdentity(version.schema, row), row);
      try {
        if (after !== null) draft.event(table, "r", version.encoder.encode({ ...common, after }));
        at += 1;
      } catch (error) {
        if (!(error instanceof UnexpectedNull)) throw error;
        await this.#tables.allowNull(binding, error.column, signal);
      }
    }
    if (work.kind === "range") {
      table.rowBytes = rowBytes(chunk.rows) || table.rowBytes;
      work.scan.finish(work.range);
      if (work.scan.column === null) table.rowsRead += chunk.rows.length;
      if (work.scan.progress.finished) this.#complete(table);
    } else {
      for (const request of table.rereads.finish(work.entries)) {
        draft.records.push({ topic: rereadsTopic, partition: 0, key: request, value: null });
      }
    }
    this.#settle(table);
    this.#tables.touch(table);
  }

  #complete(table: CapturedTable): void {
    const [finished, ...rest] = table.scans;
    invariant(finished?.progress.finished === true, "the scan under way is the one that finishes");
    table.scans = rest;
    this.#logger.info("table read", { table: table.id, column: finished.column ?? "", rows: table.rowsRead });
  }

  #settle(table: CapturedTable): void {
    if (table.phase !== "snapshotting" || table.snapshotOpen) return;
    if (!this.#snapshotOnly) table.phase = "streaming";
    else if (table.scans.length === 0 && table.rereads.ownSize === 0) table.phase = "done";
  }
}
