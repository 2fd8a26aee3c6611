import { statSync } from "node:fs";

import { isBusy } from "./sqlite-error.ts";
import type { Retention } from "./retention.ts";
import type { Space } from "./space.ts";
import type { SqliteFile } from "./sqlite-file.ts";

const checkpointBytes = 4 * 1024 * 1024;
const largeWalBytes = 64 * 1024 * 1024;
const retentionPauseMs = 250;
/** Commits of other processes and what a crash left over are looked for this often. */
const retentionCheckMs = 10_000;
const vacuumPages = 256;
const vacuumPauseMs = 20;
/** While others append or read: moving pages takes the time that they need, and free pages take only space. */
const vacuumBusyPauseMs = 1_000;
/** Nobody has appended or read for so long: the log is idle. */
const idleMs = 200;
/** Free pages are kept for the next appends up to this part of the file. */
const keptFreeBytes = 16 * 1024 * 1024;

/** Background work on the log's file: checkpoints, deletion, giving free space back. Never in an append's way for long. */
export class Maintenance {
  readonly #log: SqliteFile;
  readonly #retention: Retention;
  readonly #space: Space;
  readonly #lastReadMs: () => number;
  readonly #check: NodeJS.Timeout;
  #retentionTimer: NodeJS.Timeout | null = null;
  #vacuumTimer: NodeJS.Timeout | null = null;
  #walBytes = 0;
  #lastAppendMs = Number.NEGATIVE_INFINITY;

  /** `lastReadMs`: when a reader was last given records, on the clock of `performance.now()`. */
  constructor(log: SqliteFile, retention: Retention, space: Space, lastReadMs: () => number) {
    this.#log = log;
    this.#retention = retention;
    this.#space = space;
    this.#lastReadMs = lastReadMs;
    // Checkpoints come after the answer to an append, not within it; this is for writes that forget to say so.
    log.database.pragma(`wal_autocheckpoint = 8192`);
    log.database.pragma(`journal_size_limit = ${largeWalBytes}`);
    this.#check = setInterval(() => this.retainSoon(), retentionCheckMs);
    this.retainSoon();
  }

  /** To be called after the answer to a write was sent. */
  written(sizeBytes: number): void {
    this.#lastAppendMs = performance.now();
    this.#walBytes += sizeBytes + 8 * 8192;
    if (this.#walBytes >= checkpointBytes) this.checkpoint();
  }

  /** Moves committed pages from the write-ahead log into the file, so that it starts again from its beginning. */
  checkpoint(): void {
    this.#walBytes = 0;
    // PASSIVE cannot finish while others write all the time; RESTART holds them back for the time it takes.
    const mode = walSizeBytes(this.#log.database.name) > largeWalBytes ? "RESTART" : "PASSIVE";
    try {
      this.#log.database.pragma(`wal_checkpoint(${mode})`);
    } catch (error) {
      if (!isBusy(error)) return; // It stays in the write-ahead log, where it is just as durable.
    }
  }

  /** A group has moved on, or something was deleted. */
  retainSoon(): void {
    this.#retentionTimer ??= setTimeout(() => {
      this.#retentionTimer = null;
      this.#retain();
    }, retentionPauseMs);
  }

  /** Deletes all that may be deleted now, and gives back the free space. */
  async reclaim(): Promise<void> {
    while (await this.#log.write(() => this.#retention.step(), null, false)) await turn();
    while (this.#space.freePages() > 0 && this.#vacuum()) await turn();
    this.checkpoint();
  }

  close(): void {
    clearInterval(this.#check);
    if (this.#retentionTimer !== null) clearTimeout(this.#retentionTimer);
    if (this.#vacuumTimer !== null) clearTimeout(this.#vacuumTimer);
  }

  #retain(): void {
    let more = false;
    try {
      if (!this.#retention.hasWork()) {
        this.#vacuumSoon();
        return;
      }
      // Not durable by itself: a deletion that a power failure undoes is made again.
      more = this.#log.tryWrite(() => this.#retention.step(), false) ?? false;
    } catch {
      // The next append or read meets the same trouble and reports it to somebody who can act.
      return;
    }
    this.#walBytes += 64 * 1024;
    if (this.#walBytes >= checkpointBytes) this.checkpoint();
    if (more) setImmediate(() => this.#retain());
    else this.retainSoon();
  }

  #vacuumSoon(): void {
    if (this.#vacuumTimer !== null) return;
    const freeBytes = this.#space.freePages() * (this.#log.database.pragma("page_size", { simple: true }) as number);
    if (freeBytes <= Math.max(keptFreeBytes, this.#space.fileBytes() / 4)) return;
    const usedMs = Math.max(this.#lastAppendMs, this.#lastReadMs());
    const isIdle = performance.now() - usedMs > idleMs;
    this.#vacuumTimer = setTimeout(
      () => {
        this.#vacuumTimer = null;
        if (this.#vacuum()) this.#vacuumSoon();
      },
      isIdle ? vacuumPauseMs : vacuumBusyPauseMs,
    );
  }

  /** False when it could not work. */
  #vacuum(): boolean {
    try {
      this.#log.database.pragma(`incremental_vacuum(${vacuumPages})`);
      this.#walBytes += vacuumPages * 8192;
      if (this.#walBytes >= checkpointBytes) this.checkpoint();
      return true;
    } catch {
      return false;
    }
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Bytes of the write-ahead log of a SQLite file; 0 when there is none. */
export function walSizeBytes(path: string): number {
  return statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}
