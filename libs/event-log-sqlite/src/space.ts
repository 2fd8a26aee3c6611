import { statSync, statfsSync } from "node:fs";
import { dirname } from "node:path";

import { DataTraceError } from "@datatrace/core";
import type { Database, Statement } from "better-sqlite3";

const mebibyte = 1024 * 1024;

/**
 * Keeps the log within its size limit and off the last bytes of the disk. Only appends to data topics are held to the
 * limit. Everything else (state, positions, writers, groups, schemas, and the deletion that makes space again) may use
 * a reserve above it, so a full log can always be emptied and its state is never stuck.
 */
export class Space {
  readonly #path: string;
  readonly #maxSizeBytes: number;
  readonly #pageSizeBytes: number;
  readonly #pageCount: Statement;
  readonly #freePages: Statement;

  constructor(database: Database, maxSizeBytes: number) {
    this.#path = database.name;
    this.#maxSizeBytes = maxSizeBytes;
    this.#pageSizeBytes = database.pragma("page_size", { simple: true }) as number;
    this.#pageCount = database.prepare("PRAGMA page_count").pluck();
    this.#freePages = database.prepare("PRAGMA freelist_count").pluck();
    const reserveBytes = Math.max(4 * mebibyte, Math.min(64 * mebibyte, maxSizeBytes / 16));
    database.pragma(`max_page_count = ${Math.ceil((maxSizeBytes + reserveBytes) / this.#pageSizeBytes)}`);
  }

  /** Bytes of the file that hold something; free pages inside of it are not counted. */
  usedBytes(): number {
    return (this.#pages() - this.freePages()) * this.#pageSizeBytes;
  }

  fileBytes(): number {
    return this.#pages() * this.#pageSizeBytes;
  }

  freePages(): number {
    return this.#freePages.get() as number;
  }

  /** @throws DataTraceError `log.full` when rows of these sizes would go over the limit. */
  demand(sizesBytes: readonly number[]): void {
    // Each row ends in a part of a page; the spare pages are for the trees above.
    const pages = sizesBytes.reduce((sum, bytes) => sum + Math.ceil((bytes + 64) / (this.#pageSizeBytes - 64)), 8);
    const neededBytes = pages * this.#pageSizeBytes;
    if (this.usedBytes() + neededBytes > this.#maxSizeBytes) {
      throw new DataTraceError("log.full", { detail: { maxSizeBytes: this.#maxSizeBytes } });
    }
    const disk = statfsSync(dirname(this.#path));
    const diskFreeBytes = disk.bavail * disk.bsize;
    const diskReserveBytes = Math.min(64 * mebibyte, (disk.blocks * disk.bsize) / 20);
    // The file has yet to grow by what is only in the write-ahead log; what comes now is written to both.
    const owedBytes = Math.max(0, this.fileBytes() - statSync(this.#path).size) + 2 * neededBytes;
    if (diskFreeBytes - owedBytes < diskReserveBytes)
      throw new DataTraceError("log.full", { detail: { diskFreeBytes } });
  }

  #pages(): number {
    return this.#pageCount.get() as number;
  }
}
