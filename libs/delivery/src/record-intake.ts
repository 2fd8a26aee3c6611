import { DataTraceError } from "@datatrace/core";
import type { StoredRecord, TopicPartition } from "@datatrace/core";
import { keyIdentity } from "@datatrace/avro";
import type { ChangeEvent, DecodedEvent, EventDecoder } from "@datatrace/avro";
import { ChangeBatch } from "./change-batch.ts";
import type { ParkedKeys } from "./change-batch.ts";
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
}

/** Bytes of records that one batch holds at most: large rows make small batches. */
const batchBytes = 4 * 1024 * 1024;
/** What a record costs beside its key and value. */
const recordOverheadBytes = 200;

/**
 * Turns what is fetched of one partition into batches: decodes while there is room in the open batch, also while the
 * last one is being applied. Bounded: what has no room stays undecoded, and beyond a limit unfetched.
 */
export class RecordIntake {
  readonly #options: IntakeOptions;
  readonly #queue: Fetched[] = [];
  /** Place in the first of the queue. */
  #place = 0;
  #queuedBytes = 0;
  #paused = false;
  #open: ChangeBatch;
  /** Decoded, but of another version of the table than the open batch. */
  #held: { readonly event: RowEvent; readonly sizeBytes: number } | null = null;
  #decoding = false;
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

  push(records: readonly StoredRecord[], next: bigint): void {
    this.#queue.push({ records, next });
    for (const record of records) this.#queuedBytes += sizeOf(record);
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

  /** Decodes until the open batch is full. */
  fill(): void {
    if (this.#decoding || this.#options.signal.aborted) return;
    const { at, decoder, signal } = this.#options;
    if (!this.#placeHeld()) return;
    for (;;) {
      if (this.#isFull()) break;
      const record = this.#peek();
      if (record === null) break;
      let decoded: DecodedEvent | Promise<DecodedEvent>;
      try {
        decoded = decoder.decode(record, at, signal);
      } catch (error) {
        this.#refuse(error);
        break;
      }
      if (decoded instanceof Promise) {
        this.#decoding = true;
        void this.#await(record, decoded);
        break;
      }
      if (!this.#accept(record, decoded)) break;
    }
    this.#wake?.();
  }

  async #await(record: StoredRecord, decoding: Promise<DecodedEvent>): Promise<void> {
    try {
      this.#accept(record, await decoding);
    } catch (error) {
      this.#refuse(error);
    }
    this.#decoding = false;
    this.fill();
  }

  /** False when the open batch has to be taken first. */
  #accept(record: StoredRecord, decoded: DecodedEvent): boolean {
    const sizeBytes = sizeOf(record);
    if (decoded.kind === "tombstone") {
      this.#advance(sizeBytes);
      return true;
    }
    const event = this.#rowEvent(record, decoded);
    this.#held = { event, sizeBytes };
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
    this.#advance(sizeBytes);
    return true;
  }

  #rowEvent(record: StoredRecord, decoded: ChangeEvent): RowEvent {
    const { key } = record;
    const { delivery, at } = this.#options;
    if (key === null || decoded.schema.key.length === 0) {
      throw new DataTraceError("source.table_without_key", { detail: { topic: at.topic } });
    }
    const isDelete = decoded.op === "d";
    const row = (isDelete ? decoded.before : decoded.after) ?? [];
    const follows = decoded.rFollows;
    return {
      offset: record.offset,
      kind: isDelete ? "delete" : "upsert",
      schema: decoded.schema,
      row,
      partial: decoded.partial,
      keyId: keyIdentity(key),
      key,
      ask: follows === null || (follows !== "*" && !follows.split(",").includes(delivery)),
      commitTsUs: decoded.op === "r" ? null : decoded.tsUs,
      record,
    };
  }

  /** Nothing can be decoded beyond this record: what lies before it is still applied. */
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
  #advance(sizeBytes: number): void {
    const [fetched] = this.#queue;
    if (fetched === undefined) return;
    this.#place += 1;
    this.#queuedBytes -= sizeBytes;
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

function sizeOf({ key, value }: StoredRecord): number {
  return (key?.length ?? 0) + (value?.length ?? 0) + recordOverheadBytes;
}
