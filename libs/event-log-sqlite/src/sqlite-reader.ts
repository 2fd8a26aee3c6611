import { DataTraceError, invariant } from "@datatrace/core";
import type { LogReader, ReaderEvent, TopicPartition } from "@datatrace/core";

import type { Listener, LogThread, Notice } from "./log-thread.ts";
import type { AssignedPartition, FetchedPart, FetchPosition } from "./protocol.ts";
import { recordsOf } from "./record-frame.ts";
import type { RecordRun } from "./record-frame.ts";

/** A partition that the caller knows to be assigned. */
interface Held {
  readonly partition: AssignedPartition;
  /** Null until `seek`, and after `log.out_of_range`. */
  position: bigint | null;
  paused: boolean;
  /** The number of the question that is under way; null when there is none. */
  turn: number | null;
  /** Fetched and not yet polled. */
  fetched: { readonly run: RecordRun; readonly next: bigint } | null;
}

/**
 * A member of a group. It fetches ahead: while the caller works on one batch of a partition, the next is on its way.
 * At most one batch per partition is held here.
 */
export class SqliteReader implements LogReader, Listener {
  readonly #thread: LogThread;
  readonly #id: string;
  readonly #group: string;
  /** By partition id, least recently served first. */
  readonly #held = new Map<number, Held>();
  /** Ids of partitions that were assigned at any time, to commit what was applied before a revocation. */
  readonly #everAssigned = new Map<string, number>();
  #assigned: readonly AssignedPartition[] | null = null;
  readonly #errors: Error[] = [];
  #lost: Error | null = null;
  #wake: (() => void) | null = null;
  /** Partitions for which a question may have to be asked or taken back. */
  readonly #changed = new Set<Held>();
  #lastTurn = 0;
  #scheduled = false;

  constructor(thread: LogThread, id: string, group: string) {
    this.#thread = thread;
    this.#id = id;
    this.#group = group;
    thread.listen(id, this);
  }

  async poll(signal: AbortSignal): Promise<readonly ReaderEvent[]> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#lost !== null) throw this.#lost;
      const error = this.#errors.shift();
      if (error !== undefined) throw error;
      const events = this.#take();
      this.#fetch();
      if (events.length > 0) return events;
      await this.#news(signal);
    }
  }

  seek(partition: TopicPartition, offset: bigint): void {
    const held = this.#find(partition);
    if (held === undefined) return;
    held.position = offset;
    held.turn = null;
    held.fetched = null;
    this.#changed.add(held);
    this.#fetchSoon();
  }

  pause(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      const held = this.#find(partition);
      if (held === undefined) continue;
      held.paused = true;
      // Fetched again later, so that paused partitions cost no memory.
      held.turn = null;
      held.fetched = null;
      this.#changed.add(held);
    }
    this.#fetchSoon();
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      const held = this.#find(partition);
      if (held === undefined) continue;
      held.paused = false;
      this.#changed.add(held);
    }
    this.#fetchSoon();
  }

  async setTopics(topics: readonly string[]): Promise<void> {
    await this.#thread.request("setTopics", { reader: this.#id, topics });
  }

  async commit(partition: TopicPartition, next: bigint): Promise<void> {
    const partitionId = this.#everAssigned.get(nameOf(partition));
    invariant(partitionId !== undefined, "only a partition that was assigned is committed");
    await this.#thread.request("commit", { group: this.#group, partitionId, next });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#lost !== null) return;
    this.lost(new DataTraceError("log.closed"));
    this.#thread.unlisten(this.#id);
    await this.#thread.request("closeReader", { reader: this.#id });
  }

  notice(notice: Notice): void {
    switch (notice.kind) {
      case "assignment":
        this.#assigned = notice.partitions;
        this.#dropRevoked(notice.partitions);
        break;
      case "fetched":
        for (const part of notice.parts) this.#receive(part);
        break;
      case "reader_failed":
        this.#fail(new DataTraceError(notice.error.code, { detail: notice.error.detail }));
        break;
    }
    this.#wake?.();
  }

  lost(error: Error): void {
    this.#lost ??= error;
    this.#wake?.();
  }

  /** Takes what is there: first the changes of assignment, then a batch of each partition that has one. */
  #take(): ReaderEvent[] {
    const events: ReaderEvent[] = this.#assigned === null ? [] : this.#changes(this.#assigned);
    this.#assigned = null;
    for (const [id, held] of this.#held) {
      const { fetched, position } = held;
      if (fetched === null || position === null) continue;
      held.fetched = null;
      held.position = fetched.next;
      this.#changed.add(held);
      const records = recordsOf(fetched.run, position);
      if (records.length === 0) continue;
      // To the end of the line, so that no partition is always the first to be served.
      this.#held.delete(id);
      this.#held.set(id, held);
      const { topic, partition } = held.partition;
      events.push({
        kind: "batch",
        topic,
        partition,
        records,
        next: fetched.next,
        sizeBytes: fetched.run.frames.byteLength,
      });
    }
    return events;
  }

  #changes(assigned: readonly AssignedPartition[]): ReaderEvent[] {
    const grants = new Map(assigned.map((partition) => [partition.partitionId, partition.grant]));
    const revoked = [...this.#held.values()].filter(
      ({ partition }) => grants.get(partition.partitionId) !== partition.grant,
    );
    for (const held of revoked) {
      this.#held.delete(held.partition.partitionId);
      this.#changed.add(held);
    }
    const added = assigned.filter((partition) => !this.#held.has(partition.partitionId));
    for (const partition of added) {
      this.#held.set(partition.partitionId, { partition, position: null, paused: false, turn: null, fetched: null });
      this.#everAssigned.set(nameOf(partition), partition.partitionId);
    }
    const events: ReaderEvent[] = [];
    if (revoked.length > 0)
      events.push({ kind: "revoked", partitions: revoked.map((held) => placeOf(held.partition)) });
    if (added.length > 0) events.push({ kind: "assigned", partitions: added.map(placeOf) });
    return events;
  }

  /** What is revoked delivers nothing from now on, even before the caller has heard of it. */
  #dropRevoked(assigned: readonly AssignedPartition[]): void {
    const grants = new Map(assigned.map((partition) => [partition.partitionId, partition.grant]));
    for (const held of this.#held.values()) {
      if (grants.get(held.partition.partitionId) === held.partition.grant) continue;
      held.position = null;
      held.turn = null;
      held.fetched = null;
      this.#changed.add(held);
    }
  }

  #receive(part: FetchedPart): void {
    const held = this.#held.get(part.partitionId);
    if (held === undefined || held.position === null || held.turn !== part.turn) return;
    held.turn = null;
    if ("run" in part) {
      held.fetched = part;
      return;
    }
    const { topic, partition } = held.partition;
    this.#errors.push(
      new DataTraceError("log.out_of_range", {
        detail: {
          topic,
          partition,
          offset: held.position.toString(),
          earliest: part.outOfRange.earliest.toString(),
          end: part.outOfRange.end.toString(),
        },
      }),
    );
    held.position = null;
  }

  /** One message for all that the caller changes in one go. */
  #fetchSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#fetch();
    });
  }

  /** Asks for what is missing, and takes back what is no longer wanted. Where nothing has changed, nothing is said. */
  #fetch(): void {
    if (this.#lost !== null || this.#changed.size === 0) return;
    const wait: FetchPosition[] = [];
    const forget: number[] = [];
    for (const held of this.#changed) {
      const { partitionId } = held.partition;
      const { position, paused, fetched, turn } = held;
      const wanted = this.#held.get(partitionId) === held && position !== null && !paused && fetched === null;
      if (!wanted) {
        forget.push(partitionId);
      } else if (turn === null) {
        this.#lastTurn += 1;
        held.turn = this.#lastTurn;
        wait.push({ partitionId, offset: position, turn: this.#lastTurn });
      }
    }
    this.#changed.clear();
    this.#thread.fetch({ kind: "fetch", reader: this.#id, wait, forget });
  }

  /** The thread has forgotten what was asked: it is asked again with the next poll. */
  #fail(error: Error): void {
    for (const held of this.#held.values()) {
      held.turn = null;
      this.#changed.add(held);
    }
    // The same trouble again and again is one error.
    if (this.#errors.length < 10) this.#errors.push(error);
  }

  async #news(signal: AbortSignal): Promise<void> {
    invariant(this.#wake === null, "one poll at a time per reader");
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    this.#wake = wake;
    signal.addEventListener("abort", wake, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", wake);
      this.#wake = null;
    }
  }

  #find({ topic, partition }: TopicPartition): Held | undefined {
    for (const held of this.#held.values()) {
      if (held.partition.partition === partition && held.partition.topic === topic) return held;
    }
    return undefined;
  }
}

function placeOf({ topic, partition }: AssignedPartition): TopicPartition {
  return { topic, partition };
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
