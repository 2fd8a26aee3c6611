import type { StoredRecord, TopicPartition } from "@datatrace/core";
import type { EventDecoder, EventOutline } from "@datatrace/avro";
import { ChangeBatch } from "./change-batch.ts";
import type { ParkedKeys } from "./change-batch.ts";
import { LoggedRowEvent } from "./row-event.ts";
import type { RowEvent } from "./row-event.ts";

export interface IntakeOptions {
  readonly at: TopicPartition;
  readonly delivery: string;
  readonly decoder: EventDecoder;
  readonly parkedKeys: ParkedKeys;
  /** Offset of the first record that will come. */
  readonly start: bigint;
  readonly batchRows: number;
  /** Records waiting to be decoded beyond this ask for a pause of the partition. */
  readonly queueBytes: number;
  readonly pause: () => void;
  readonly resume: () => void;
  readonly signal: AbortSignal;
}

interface Fetched {
  readonly records: readonly StoredRecord[];
  readonly next: bigint;
  /** What one of them holds in memory, on average. */
  readonly recordBytes: number;
}

/** Bytes of records that one batch holds at most: large rows make small batches. */
const batchBytes = 4 * 1024 * 1024;
/** What a record costs beside its key and value. */
const recordOverheadBytes = 200;

/**
 * Turns what is fetched of one partition into batches: looks through records while there is room in the open batch,
 * also while the last one is being applied. Bounded: what has no room is not looked at, and beyond a limit not fetched.
 */
export class RecordIntake {
  readonly #options: IntakeOptions;
  readonly #queue: Fetched[] = [];
  /** Place in the first of the queue. */
  #place = 0;
  #queuedBytes = 0;
  #paused = false;
  #open: ChangeBatch;
  /** Of another version of the table than the open batch. */
  #held: { readonly event: RowEvent; readonly sizeBytes: number } | null = null;
  #waiting = false;
  /** Where the last batch that was taken ends. */
  #taken: bigint;
  #wake: (() => void) | null = null;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#open = new ChangeBatch(options.at.topic, options.start, options.parkedKeys);
    this.#taken = options.start;
  }

  /** Commit time of the oldest change that waits here; null when none does, or it has no such time. */
  get oldestCommitTsUs(): number | null {
    return this.#open.events[0]?.commitTsUs ?? null;
  }

  /** `sizeBytes`: what the records hold in memory. */
  push(records: readonly StoredRecord[], next: bigint, sizeBytes: number): void {
    const recordBytes = sizeBytes / Math.max(1, records.length) + recordOverheadBytes;
    this.#queue.push({ records, next, recordBytes });
    this.#queuedBytes += recordBytes * records.length;
    if (this.#queuedBytes > this.#options.queueBytes && !this.#paused) {
      this.#paused = true;
      this.#options.pause();
    }
    this.fill();
  }

  /** The next batch, as soon as it gets further than the last. Call `fill` once its apply is on its way. */
  async take(): Promise<ChangeBatch> {
    const { signal, parkedKeys } = this.#options;
    for (;;) {
      signal.throwIfAborted();
      this.fill();
      const batch = this.#open;
      if (batch.next > this.#taken || batch.stop !== null) {
        this.#taken = batch.next;
        this.#open = new ChangeBatch(batch.topic, batch.next, parkedKeys);
        return batch;
      }
      await this.#news();
    }
  }

  /** Looks at records until the open batch is full. */
  fill(): void {
    if (this.#waiting || this.#options.signal.aborted) return;
    const { at, decoder, signal } = this.#options;
    if (!this.#placeHeld()) return;
    for (;;) {
      if (this.#isFull()) break;
      const record = this.#peek();
      if (record === null) break;
      try {
        const outline = decoder.outline(record, at, signal);
        if (outline instanceof Promise) {
          this.#waiting = true;
          void this.#await(outline);
          break;
        }
        if (!this.#accept(outline)) break;
      } catch (error) {
        this.#refuse(error);
        break;
      }
    }
    this.#wake?.();
  }

  /** The registry is asked. */
  async #await(looking: Promise<EventOutline>): Promise<void> {
    try {
      this.#accept(await looking);
    } catch (error) {
      this.#refuse(error);
    }
    this.#waiting = false;
    this.fill();
  }

  /** False when the open batch has to be taken first. */
  #accept(outline: EventOutline): boolean {
    const { delivery, at } = this.#options;
    if (outline.kind === "tombstone") {
      this.#advance();
      return true;
    }
    const event = new LoggedRowEvent(outline, at.topic, delivery);
    this.#held = { event, sizeBytes: outline.sizeBytes + recordOverheadBytes };
    return this.#placeHeld();
  }

  /** Puts the held change into the open batch; false when that is of another version. */
  #placeHeld(): boolean {
    if (this.#held === null) return true;
    const { event, sizeBytes } = this.#held;
    const { schema } = this.#open;
    if (schema !== null && schema !== event.schema) return false;
    this.#held = null;
    this.#open.add(event, sizeBytes);
    this.#advance();
    return true;
  }

  /** Nothing can be read beyond this record: what lies before it is still applied. */
  #refuse(error: unknown): void {
    if (this.#options.signal.aborted) return;
    this.#open.stop = error;
    this.#wake?.();
  }

  #isFull(): boolean {
    const { events, sizeBytes, stop } = this.#open;
    return stop !== null || events.length >= this.#options.batchRows || sizeBytes >= batchBytes;
  }

  #peek(): StoredRecord | null {
    for (;;) {
      const [fetched] = this.#queue;
      if (fetched === undefined) return null;
      const record = fetched.records[this.#place];
      if (record !== undefined) return record;
      this.#open.moveTo(fetched.next);
      this.#queue.shift();
      this.#place = 0;
    }
  }

  /** The first of the queue is in the open batch, or needs no place there. */
  #advance(): void {
    const [fetched] = this.#queue;
    if (fetched === undefined) return;
    this.#place += 1;
    this.#queuedBytes -= fetched.recordBytes;
    const following = fetched.records[this.#place];
    this.#open.moveTo(following?.offset ?? fetched.next);
    if (following === undefined) {
      this.#queue.shift();
      this.#place = 0;
    }
    if (this.#paused && this.#queuedBytes < this.#options.queueBytes / 2) {
      this.#paused = false;
      this.#options.resume();
    }
  }

  async #news(): Promise<void> {
    const { signal } = this.#options;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    this.#wake = wake;
    signal.addEventListener("abort", wake, { once: true });
    await promise;
    signal.removeEventListener("abort", wake);
    this.#wake = null;
  }
}
