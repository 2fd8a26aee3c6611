import type { KeyRange } from "@datatrace/core";
import type { CapturedTable } from "./captured-table.ts";
import { ChunkWindow } from "./chunk-window.ts";
import type { RereadEntry } from "./reread-queue.ts";
import type { TableScan } from "./table-scan.ts";
import type { TableVersion } from "./table-version.ts";
import type { DeliveredTransactions } from "./unseen-transactions.ts";

/** What is to be read of a table: a range of one of its scans, or some keys. */
export type ChunkWork =
  | { readonly kind: "range"; readonly table: CapturedTable; readonly scan: TableScan; readonly range: KeyRange }
  | { readonly kind: "keys"; readonly table: CapturedTable; readonly entries: readonly RereadEntry[] };

/**
 * How the high watermark of a read was answered. `published`: its rows are in the draft. `unseen`: transactions that
 * were delivered before the low watermark are not visible in the chunk; read again once they are, in the same window.
 * `discarded`: read again from a new low watermark. `dropped`: nobody wants it any more.
 */
export type ChunkOutcome =
  | { readonly kind: "published" }
  | { readonly kind: "unseen"; readonly txIds: readonly bigint[] }
  | { readonly kind: "discarded" }
  | { readonly kind: "dropped" };

/** The work is still wanted: its table goes on, and the scan is the one under way. */
export function isWanted(work: ChunkWork): boolean {
  return work.table.publishes && (work.kind === "keys" || work.table.scans[0] === work.scan);
}

/** One read between its two watermarks. The stream opens and judges it; the lane that reads waits for the verdict. */
export class ChunkRead {
  readonly work: ChunkWork;
  readonly window = new ChunkWindow();
  /** Complete once `opened`. */
  readonly delivered: DeliveredTransactions;
  readonly opened = Promise.withResolvers<void>();
  #closed = false;

  constructor(work: ChunkWork, delivered: DeliveredTransactions) {
    this.work = work;
    this.delivered = delivered;
  }

  /** The low watermark has come back: from here on the window sees every change of the table. */
  open(): void {
    if (!this.#closed) this.work.table.windows.add(this.window);
    this.opened.resolve();
  }

  close(): void {
    this.#closed = true;
    this.work.table.windows.delete(this.window);
  }

  /** The high watermark has come back. Null: the rows may be published, at this place in the stream. */
  judge(version: TableVersion): Exclude<ChunkOutcome, { readonly kind: "published" }> | null {
    const { work, window } = this;
    if (!isWanted(work)) return { kind: "dropped" };
    // The table has changed its shape since the rows were read, or while they were.
    if (window.overflowed || version !== work.table.version || !window.fits(version)) return { kind: "discarded" };
    // Commit order is not visibility order: a change that the stream delivered before the window must be in the rows (I3).
    const txIds = this.delivered.unseen();
    return txIds.length > 0 ? { kind: "unseen", txIds } : null;
  }
}
