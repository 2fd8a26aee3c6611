import type { Row } from "@datatrace/core";

/** One key to read again. */
export interface RereadEntry {
  readonly identity: string;
  /** Key cells, in key order. */
  readonly cells: Row;
  /** Asked for by capture itself: part of the stored state until an `r` of it is published. */
  own: boolean;
  /** Record keys of sinks' requests in `rereadsTopic` that this answers: tombstoned with the `r`. */
  requests: readonly Uint8Array[];
  inFlight: boolean;
}

/** Keys of one table whose rows must be published again. */
export class RereadQueue {
  readonly #open = new Map<string, RereadEntry>();
  #own = 0;

  get size(): number {
    return this.#open.size;
  }

  /** Entries that capture asked for itself. */
  get ownSize(): number {
    return this.#own;
  }

  /** An `r` of this key will follow by capture's own asking. */
  follows(identity: string): boolean {
    return this.#own > 0 && this.#open.get(identity)?.own === true;
  }

  /** Key cells of the entries that must survive a restart. */
  own(): readonly Row[] {
    return [...this.#open.values()].filter((entry) => entry.own).map((entry) => entry.cells);
  }

  /**
   * The row appeared under this key without all its columns. A read that is in flight has begun before that and may
   * have another row of this key: it does not answer, so its requests move to the new entry.
   */
  ask(identity: string, cells: Row): void {
    const known = this.#open.get(identity);
    if (known?.own !== true) this.#own += 1;
    this.#open.set(identity, { identity, cells, own: true, requests: known?.requests ?? [], inFlight: false });
    if (known !== undefined) known.requests = [];
  }

  /** A sink asks. A read in flight answers it too: its `r` comes after the request in the log. */
  askFor(identity: string, cells: Row, request: Uint8Array): void {
    const known = this.#open.get(identity);
    if (known === undefined) {
      this.#open.set(identity, { identity, cells, own: false, requests: [request], inFlight: false });
    } else known.requests = [...known.requests, request];
  }

  /** Up to `limit` entries that nobody is reading; they are in flight now. */
  take(limit: number): readonly RereadEntry[] {
    const taken: RereadEntry[] = [];
    for (const entry of this.#open.values()) {
      if (taken.length >= limit) break;
      if (entry.inFlight) continue;
      entry.inFlight = true;
      taken.push(entry);
    }
    return taken;
  }

  get hasWaiting(): boolean {
    for (const entry of this.#open.values()) if (!entry.inFlight) return true;
    return false;
  }

  /** The entries were read, and what there was of their rows is being published. @returns requests answered. */
  finish(entries: readonly RereadEntry[]): readonly Uint8Array[] {
    const answered: Uint8Array[] = [];
    for (const entry of entries) {
      answered.push(...entry.requests);
      if (this.#open.get(entry.identity) !== entry) continue;
      this.#open.delete(entry.identity);
      if (entry.own) this.#own -= 1;
    }
    return answered;
  }

  /** The read failed: somebody else may take them. */
  giveBack(entries: readonly RereadEntry[]): void {
    for (const entry of entries) entry.inFlight = false;
  }

  /** Drops capture's own entries (a read of the whole table stands in for them); requests of sinks stay. */
  dropOwn(): void {
    for (const entry of this.#open.values()) {
      if (!entry.own) continue;
      if (entry.requests.length === 0) this.#open.delete(entry.identity);
      else entry.own = false;
    }
    this.#own = 0;
  }

  clear(): void {
    this.#open.clear();
    this.#own = 0;
  }
}
