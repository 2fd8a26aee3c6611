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
 * Events waiting to be pulled, and where they may be cut. A batch goes to the end of the last whole transaction that is
 * there; inside a transaction it ends only at the limits, and then between two raw changes.
 */
export class BatchBuilder {
  readonly #limits: BatchLimits;
  /** Batches that have reached a limit. */
  readonly #ready: SourceBatch[] = [];
  #readyEvents = 0;
  #readyBytes = 0;
  #events: SourceEvent[] = [];
  #bytes = 0;
  /** Of `#events`, those that belong to whole transactions. */
  #wholeEvents = 0;
  #wholeBytes = 0;
  #end: Lsn;
  /** Position of the newest batch. */
  #taken: Lsn;

  constructor(limits: BatchLimits, end: Lsn) {
    this.#limits = limits;
    this.#end = end;
    this.#taken = end;
  }

  /** How far the stream has come, whole transactions only. */
  get end(): Lsn {
    return this.#end;
  }

  /** How far the batches that were handed out, or wait to be, have come. */
  get given(): Lsn {
    return this.#taken;
  }

  /** More is waiting than one pull takes away: stop reading. */
  get isFull(): boolean {
    return (
      this.#readyEvents + this.#events.length >= 2 * this.#limits.maxEvents ||
      this.#readyBytes + this.#bytes >= 2 * this.#limits.maxBytes
    );
  }

  add(event: SourceEvent, sizeBytes = 0): void {
    this.#events.push(event);
    this.#bytes += sizeBytes;
  }

  /** A raw change of an open transaction is complete: a batch may end here if it must. */
  mark(open: OpenTransaction): void {
    if (!this.#isDue) return;
    this.#sealWhole();
    if (!this.#isDue) return;
    this.#seal(this.#events.length, this.#bytes, { end: this.#end, open });
  }

  /** Everything so far is whole, and nothing lies between it and `end`. Never moves back (I2). */
  close(end: Lsn): void {
    if (end > this.#end) this.#end = end; // I2
    this.#wholeEvents = this.#events.length;
    this.#wholeBytes = this.#bytes;
    if (this.#isDue) this.#sealWhole();
  }

  /** Null when there is nothing that may be given yet. */
  take(): SourceBatch | null {
    if (this.#ready.length === 0) this.#sealWhole();
    const batch = this.#ready.shift() ?? null;
    if (batch === null) return null;
    this.#readyEvents -= batch.events.length;
    this.#readyBytes -= batch.sizeBytes;
    return batch;
  }

  /** An empty batch with the newer position, when nothing is waiting. */
  takeIdle(): SourceBatch | null {
    if (this.#events.length > 0 || this.#ready.length > 0 || this.#end <= this.#taken) return null;
    this.#taken = this.#end;
    return { events: [], sizeBytes: 0, position: formatPosition({ end: this.#end, open: null }) };
  }

  get #isDue(): boolean {
    return this.#events.length >= this.#limits.maxEvents || this.#bytes >= this.#limits.maxBytes;
  }

  #sealWhole(): void {
    if (this.#wholeEvents > 0) this.#seal(this.#wholeEvents, this.#wholeBytes, { end: this.#end, open: null });
  }

  #seal(count: number, sizeBytes: number, position: StreamPosition): void {
    const all = count === this.#events.length;
    const events = all ? this.#events : this.#events.slice(0, count);
    this.#events = all ? [] : this.#events.slice(count);
    this.#bytes -= sizeBytes;
    this.#wholeEvents = 0;
    this.#wholeBytes = 0;
    this.#taken = this.#end;
    this.#ready.push({ events, sizeBytes, position: formatPosition(position) });
    this.#readyEvents += count;
    this.#readyBytes += sizeBytes;
  }
}
