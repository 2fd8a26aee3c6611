import type { SourceBatch, SourceEvent } from "@datatrace/core";
import type { Lsn } from "@datatrace/postgres";
import { formatPosition } from "./stream-position.ts";
import type { OpenTransaction, StreamPosition } from "./stream-position.ts";

export interface BatchLimits {
  readonly maxEvents: number;
  /** Of what the server sent. */
  readonly maxBytes: number;
}

/**
 * Events waiting to be pulled, and where they may be cut. A batch goes to the end of the last whole transaction; only
 * when nothing whole is there and the limits are reached does it end inside one (always between raw changes).
 */
export class BatchBuilder {
  readonly #limits: BatchLimits;
  #events: SourceEvent[] = [];
  #bytes = 0;
  /** Everything of `#events` before it belongs to whole transactions. */
  #wholeEvents = 0;
  #wholeBytes = 0;
  #end: Lsn;
  /** Position of the batch that was taken last. */
  #taken: Lsn;

  constructor(limits: BatchLimits, end: Lsn) {
    this.#limits = limits;
    this.#end = end;
    this.#taken = end;
  }

  get end(): Lsn {
    return this.#end;
  }

  get isEmpty(): boolean {
    return this.#events.length === 0;
  }

  /** The position has moved on since the last batch, though there may be no event. */
  get hasMoved(): boolean {
    return this.#end > this.#taken;
  }

  /** More is waiting than one pull takes away: stop reading. */
  get isFull(): boolean {
    return this.#events.length >= 2 * this.#limits.maxEvents || this.#bytes >= 2 * this.#limits.maxBytes;
  }

  add(event: SourceEvent, sizeBytes = 0): void {
    this.#events.push(event);
    this.#bytes += sizeBytes;
  }

  /** Everything so far is whole, and nothing lies between it and `end`. Never moves back (I2). */
  close(end: Lsn): void {
    this.#wholeEvents = this.#events.length;
    this.#wholeBytes = this.#bytes;
    if (end > this.#end) this.#end = end;
  }

  /** `open`: the transaction that the events after the last whole one belong to. Null when there is nothing to give yet. */
  take(open: OpenTransaction | null): SourceBatch | null {
    if (this.#wholeEvents > 0) {
      const whole = this.#wholeEvents === this.#events.length;
      const events = whole ? this.#events : this.#events.slice(0, this.#wholeEvents);
      const batch = this.#batch(events, this.#wholeBytes, { end: this.#end, open: null });
      this.#events = whole ? [] : this.#events.slice(this.#wholeEvents);
      this.#bytes -= this.#wholeBytes;
      this.#wholeEvents = 0;
      this.#wholeBytes = 0;
      return batch;
    }
    const due = this.#events.length >= this.#limits.maxEvents || this.#bytes >= this.#limits.maxBytes;
    if (!due || this.#events.length === 0) return null;
    const batch = this.#batch(this.#events, this.#bytes, { end: this.#end, open });
    this.#events = [];
    this.#bytes = 0;
    return batch;
  }

  /** An empty batch with the newer position, when nothing is waiting. */
  takeIdle(): SourceBatch | null {
    if (!this.isEmpty || !this.hasMoved) return null;
    return this.#batch([], 0, { end: this.#end, open: null });
  }

  #batch(events: readonly SourceEvent[], sizeBytes: number, position: StreamPosition): SourceBatch {
    this.#taken = this.#end;
    return { events, sizeBytes, position: formatPosition(position) };
  }
}
