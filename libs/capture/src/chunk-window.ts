import { type Row, UNCHANGED } from "@datatrace/core";
import type { TableVersion } from "./table-version.ts";

/**
 * What a key's changes since the low watermark amount to. `full`: an event with every column is in the log, the chunk's
 * row is older. `deleted`: likewise. `incomplete`: the row came by a key change without all its columns, which the
 * chunk's row of that key may not have either (it may be an earlier row of the same key). A row: only updates that left
 * columns out; its cells are the newest that they carried.
 */
type KeyState = "full" | "deleted" | "incomplete" | Row;

/** Beyond this many keys a window is given up and its chunk read again: held memory stays bounded. */
export const maxWindowKeys = 200_000;

/**
 * The raw changes of one table between the low and the high watermark of one chunk, by key identity. They win over the
 * rows that the chunk has read (I3, I4).
 */
export class ChunkWindow {
  readonly #keys = new Map<string, KeyState>();
  #version: TableVersion | null = null;
  #mixed = false;

  get size(): number {
    return this.#keys.size;
  }

  /** Too many keys were changed: the chunk must be read again. */
  get overflowed(): boolean {
    return this.#keys.size > maxWindowKeys;
  }

  /** False when a change in the window had another version of the table than the chunk's rows. */
  fits(version: TableVersion): boolean {
    return !this.#mixed && (this.#version === null || this.#version === version);
  }

  /** Each change is noted with the version of the table that it is aligned with. */
  note(version: TableVersion): void {
    if (this.#version === null) this.#version = version;
    else if (this.#version !== version) this.#mixed = true;
  }

  deleted(key: string): void {
    this.#keys.set(key, "deleted");
  }

  /** An event with every column was published. */
  full(key: string): void {
    this.#keys.set(key, "full");
  }

  /** A row appeared under this key (a key change), and columns of it are not known. */
  incomplete(key: string): void {
    this.#keys.set(key, "incomplete");
  }

  /** An update that left columns out (`UNCHANGED` in `after`). */
  partial(key: string, after: Row): void {
    const state = this.#keys.get(key);
    if (state === undefined) this.#keys.set(key, after);
    else if (typeof state === "object") this.#keys.set(key, merge(after, state));
    // An update after a delete without an insert between them cannot be; should it be, its row is not the chunk's.
    else if (state === "deleted") this.#keys.set(key, "incomplete");
  }

  /** The row to publish as `r` at the high watermark: the chunk's, or that with the window's changes in it, or none. */
  resolve(key: string, row: Row): Row | null {
    const state = this.#keys.get(key);
    if (state === undefined) return row;
    return typeof state === "object" ? merge(state, row) : null;
  }
}

/** `row`, with the columns that it leaves out taken from `older`. */
function merge(row: Row, older: Row): Row {
  return row.map((cell, index) => (cell === UNCHANGED ? (older[index] ?? null) : cell));
}
