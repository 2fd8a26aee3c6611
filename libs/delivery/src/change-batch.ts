import type { TableSchema } from "@datatrace/core";
import { Collapse } from "./collapse.ts";
import type { CollapsedChanges } from "./collapse.ts";
import type { RowEvent } from "./row-event.ts";

/** Keys whose changes wait in quarantine, and a number that grows when they change. */
export interface ParkedKeys {
  readonly version: number;
  has(keyId: string): boolean;
}

/** A batch's changes split by what is to be done with them. */
export interface SortedChanges {
  readonly collapsed: CollapsedChanges;
  /** Keys for which a request made earlier is settled by this batch. */
  readonly settledKeys: () => Iterable<string>;
  /** Changes of parked keys, in log order. */
  readonly parked: readonly RowEvent[];
}

/** Changes folded while they come, their rows still undecoded. */
interface Sorting {
  readonly collapse: Collapse;
  readonly parked: RowEvent[];
  readonly version: number;
}

/**
 * Consecutive records of one partition, all of one version of the table. Folded while it is filled, decoded while its
 * statements are made; the changes themselves are kept for the case that the target refuses one of them.
 */
export class ChangeBatch {
  readonly topic: string;
  readonly #events: RowEvent[] = [];
  readonly #parkedKeys: ParkedKeys;
  #next: bigint;
  #sizeBytes = 0;
  #sorting: Sorting;
  #sorted: SortedChanges | null = null;

  /** Why the record at `next` cannot be read: nothing is applied beyond it. */
  stop: unknown = null;

  constructor(topic: string, next: bigint, parkedKeys: ParkedKeys) {
    this.topic = topic;
    this.#next = next;
    this.#parkedKeys = parkedKeys;
    this.#sorting = this.#empty();
  }

  /** A part of another batch, in log order, that ends before `next`. */
  static of(events: readonly RowEvent[], next: bigint, topic: string, parkedKeys: ParkedKeys): ChangeBatch {
    const batch = new ChangeBatch(topic, next, parkedKeys);
    for (const event of events) batch.add(event, 0);
    batch.moveTo(next);
    return batch;
  }

  get events(): readonly RowEvent[] {
    return this.#events;
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

  /** @throws DataTraceError `log.corrupt` of a row that has to be folded into another */
  add(event: RowEvent, sizeBytes: number): void {
    this.#events.push(event);
    this.#sizeBytes += sizeBytes;
    this.#sorted = null;
    this.#sort(event);
  }

  /** Covers what lies before `next` and holds no change (tombstones, gaps). */
  moveTo(next: bigint): void {
    this.#next = next;
  }

  /** What comes before the first change whose row cannot be read; null when all can be. */
  readablePart(): ChangeBatch | null {
    const unreadable = this.#events.findIndex((event) => !isReadable(event));
    const event = this.#events[unreadable];
    if (event === undefined) return null;
    return ChangeBatch.of(this.#events.slice(0, unreadable), event.offset, this.topic, this.#parkedKeys);
  }

  /** @throws DataTraceError `log.corrupt` of a partial row, as a look at the other rows does */
  changes(): SortedChanges {
    // A key was parked after its changes were folded in here.
    if (this.#sorting.version !== this.#parkedKeys.version) this.#sortAgain();
    if (this.#sorted === null) {
      const { collapse, parked } = this.#sorting;
      this.#sorted = { collapsed: collapse.changes(), settledKeys: () => collapse.settledKeys(), parked };
    }
    return this.#sorted;
  }

  #empty(): Sorting {
    return { collapse: new Collapse(this.topic), parked: [], version: this.#parkedKeys.version };
  }

  #sortAgain(): void {
    this.#sorting = this.#empty();
    this.#sorted = null;
    for (const event of this.#events) this.#sort(event);
  }

  #sort(event: RowEvent): void {
    if (this.#parkedKeys.has(event.keyId)) this.#sorting.parked.push(event);
    else this.#sorting.collapse.add(event);
  }
}

function isReadable(event: RowEvent): boolean {
  try {
    return event.row !== undefined;
  } catch {
    return false;
  }
}
