import { invariant, type KeyRange, type Row } from "@datatrace/core";
import { cellsFromJson, cellsText, cellsToJson, type JsonCell } from "./key-cells.ts";

interface JsonRange {
  readonly after: readonly JsonCell[] | null;
  readonly upTo: readonly JsonCell[] | null;
}

/** As stored: everything up to `upTo` (null: nothing yet) is published, and so are the ranges ahead of it. */
export interface StoredProgress {
  readonly upTo: readonly JsonCell[] | null;
  readonly ahead: readonly JsonRange[];
}

interface Segment {
  readonly range: KeyRange;
  readonly done: boolean;
}

export const nothingRead: StoredProgress = { upTo: null, ahead: [] };

/**
 * How far a table has been read. Chunks are planned from the front and finish in any order; what is stored is only what
 * is published, so that a crash costs the chunks in flight and nothing else. Keys are never compared by order, which
 * only the source knows: ranges are in planning order, and neighbours share their boundary.
 */
export class ScanProgress {
  #upTo: Row | null;
  #finished = false;
  /** Everything planned beyond `#upTo`, in key order, neighbours touching. */
  #segments: Segment[] = [];
  #planned: Row | null;
  #fullyPlanned = false;

  constructor(stored: StoredProgress) {
    this.#upTo = stored.upTo === null ? null : cellsFromJson(stored.upTo);
    this.#planned = this.#upTo;
    for (const range of stored.ahead) {
      const after = range.after === null ? null : cellsFromJson(range.after);
      const upTo = range.upTo === null ? null : cellsFromJson(range.upTo);
      if (cellsText(after) !== cellsText(this.#planned)) this.#append({ after: this.#planned, upTo: after }, false);
      this.#append({ after, upTo }, true);
    }
  }

  /** Ranges that were in flight when the progress was stored: to be read first. Empty on a fresh start. */
  get gaps(): readonly KeyRange[] {
    return this.#segments.filter((segment) => !segment.done).map((segment) => segment.range);
  }

  /** Planning goes on after this key. */
  get planFrom(): Row | null {
    return this.#planned;
  }

  /** No range is left to plan. */
  get fullyPlanned(): boolean {
    return this.#fullyPlanned;
  }

  /** Every key is published. */
  get finished(): boolean {
    return this.#finished;
  }

  /** The next range of the plan: it begins where the last one ended. */
  plan(range: KeyRange): void {
    invariant(!this.#fullyPlanned, "nothing is planned after the last range");
    invariant(cellsText(range.after) === cellsText(this.#planned), "a planned range begins where the last one ended");
    this.#append(range, false);
  }

  /** A planned range is published. */
  finish(range: KeyRange): void {
    const index = this.#segments.findIndex((segment) => segment.range === range && !segment.done);
    invariant(index >= 0, "a finished range was planned");
    this.#segments[index] = { range, done: true };
    this.#advance();
    this.#merge();
  }

  stored(): StoredProgress {
    return {
      upTo: this.#upTo === null ? null : cellsToJson(this.#upTo),
      ahead: this.#segments
        .filter((segment) => segment.done)
        .map(({ range }) => ({
          after: range.after === null ? null : cellsToJson(range.after),
          upTo: range.upTo === null ? null : cellsToJson(range.upTo),
        })),
    };
  }

  #append(range: KeyRange, done: boolean): void {
    this.#segments.push({ range, done });
    this.#planned = range.upTo;
    this.#fullyPlanned = range.upTo === null;
  }

  #advance(): void {
    for (;;) {
      const [first] = this.#segments;
      if (first === undefined || !first.done) return;
      this.#segments.shift();
      this.#upTo = first.range.upTo;
      if (this.#upTo === null) this.#finished = true;
    }
  }

  /** Neighbours that are both published become one, so that what is stored stays as small as what is in flight. */
  #merge(): void {
    const merged: Segment[] = [];
    for (const segment of this.#segments) {
      const last = merged.at(-1);
      if (last?.done === true && segment.done) {
        merged[merged.length - 1] = { range: { after: last.range.after, upTo: segment.range.upTo }, done: true };
      } else merged.push(segment);
    }
    this.#segments = merged;
  }
}
