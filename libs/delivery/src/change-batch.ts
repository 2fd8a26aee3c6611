import type { TableSchema } from "@datatrace/core";
import { Collapse } from "./collapse.ts";
import type { RowEvent } from "./row-event.ts";

/** Keys whose changes wait in quarantine, and a number that grows when they change. */
export interface ParkedKeys {
  readonly version: number;
  has(keyId: string): boolean;
}

/** A batch's changes split by what is to be done with them. */
export interface SortedChanges {
  readonly collapse: Collapse;
  /** Changes of parked keys, in log order. */
  readonly parked: readonly RowEvent[];
}

/**
 * Consecutive records of one partition, all of one version of the table. Folded while it is filled, so that nothing is
 * left to do when its turn comes; the changes themselves are kept for the case that the target refuses one of them.
 */
export class ChangeBatch {
  readonly topic: string;
  readonly events: readonly RowEvent[];
  readonly #events: RowEvent[];
  readonly #parkedKeys: ParkedKeys;
  #next: bigint;
  #sizeBytes = 0;
  #sorted: { readonly collapse: Collapse; readonly parked: RowEvent[]; readonly version: number };

  /** Why the record at `next` cannot be read: nothing is applied beyond it. */
  stop: unknown = null;

  constructor(topic: string, next: bigint, parkedKeys: ParkedKeys) {
    this.topic = topic;
    this.#events = [];
    this.events = this.#events;
    this.#next = next;
    this.#parkedKeys = parkedKeys;
    this.#sorted = this.#empty();
  }

  /** A part of another batch, in log order, that ends before `next`. */
  static of(events: readonly RowEvent[], next: bigint, topic: string, parkedKeys: ParkedKeys): ChangeBatch {
    const batch = new ChangeBatch(topic, next, parkedKeys);
    for (const event of events) batch.add(event, 0);
    batch.moveTo(next);
    return batch;
  }

  /** Offset after the last record that it covers. */
  get next(): bigint {
    return this.#next;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Null while it holds tombstones only. */
  get schema(): TableSchema | null {
    return this.#events[0]?.schema ?? null;
  }

  add(event: RowEvent, sizeBytes: number): void {
    this.#events.push(event);
    this.#sizeBytes += sizeBytes;
    this.#sort(event);
  }

  /** Covers what lies before `next` and holds no change (tombstones, gaps). */
  moveTo(next: bigint): void {
    this.#next = next;
  }

  changes(): SortedChanges {
    // A key was parked after its changes were folded in here.
    if (this.#sorted.version !== this.#parkedKeys.version) {
      this.#sorted = this.#empty();
      for (const event of this.#events) this.#sort(event);
    }
    return this.#sorted;
  }

  #empty(): { readonly collapse: Collapse; readonly parked: RowEvent[]; readonly version: number } {
    return { collapse: new Collapse(this.topic), parked: [], version: this.#parkedKeys.version };
  }

  #sort(event: RowEvent): void {
    if (this.#parkedKeys.has(event.keyId)) this.#sorted.parked.push(event);
    else this.#sorted.collapse.add(event);
  }
}
