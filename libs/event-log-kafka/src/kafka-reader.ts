import { DataTraceError, invariant, sizeOfRecords } from "@datatrace/core";
import type { LogReader, ReaderEvent, TopicPartition } from "@datatrace/core";

import type { Cluster } from "./cluster.ts";
import { CommitQueue } from "./commit-queue.ts";
import { Fetcher } from "./fetcher.ts";
import { GroupMember } from "./group-member.ts";
import type { GroupRegistrations } from "./group-registrations.ts";
import type { HeldPartition } from "./held-partition.ts";
import { placeName } from "./offsets.ts";

/** A batch has many small records; more than this at once would hold up whoever takes them. */
const maxRecordsAtOnce = 5000;

/** What the group has given this member, not yet told to the caller. */
interface Assignment {
  readonly partitions: readonly TopicPartition[];
  readonly kept: boolean;
}

/**
 * A member of a group. It fetches ahead: while the caller works on one batch of a partition, the next is on its way.
 * Membership, fetches and commits each have their own pace, and none waits for another.
 */
export class KafkaReader implements LogReader {
  readonly #group: string;
  readonly #cluster: Cluster;
  readonly #shared: Cluster;
  readonly #registrations: GroupRegistrations;
  readonly #member: GroupMember;
  readonly #commits: CommitQueue;
  readonly #fetcher: Fetcher;
  /** Least recently served first. */
  readonly #held = new Map<string, HeldPartition>();
  readonly #everAssigned = new Set<string>();
  readonly #assignments: Assignment[] = [];
  readonly #errors: unknown[] = [];
  #lost: unknown = null;
  #wake: (() => void) | null = null;
  #forget: (() => void) | null = null;
  #closing: Promise<void> | null = null;

  /** Takes `cluster` over; `shared` is the log's. */
  constructor(
    cluster: Cluster,
    shared: Cluster,
    group: string,
    topics: readonly string[],
    registrations: GroupRegistrations,
  ) {
    this.#cluster = cluster;
    this.#shared = shared;
    this.#group = group;
    this.#registrations = registrations;
    this.#fetcher = new Fetcher(cluster, this.#held, {
      fetched: () => this.#wake?.(),
      failed: (error) => {
        this.#errors.push(error);
        this.#wake?.();
      },
    });
    this.#member = new GroupMember(cluster, group, topics, {
      assigned: (partitions, kept) => {
        this.#assignments.push({ partitions, kept });
        this.#commits.forget();
        this.#silence({ partitions, kept });
        this.#wake?.();
      },
      failed: (error) => this.lose(error),
    });
    this.#commits = new CommitQueue(shared, group, registrations, this.#member);
  }

  async poll(signal: AbortSignal): Promise<readonly ReaderEvent[]> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#lost !== null) throw this.#lost;
      if (this.#errors.length > 0) throw this.#errors.shift();
      const events = this.#take();
      this.#fetcher.wake();
      if (events.length > 0) return events;
      await this.#news(signal);
    }
  }

  seek(partition: TopicPartition, offset: bigint): void {
    const held = this.#held.get(placeName(partition));
    if (held === undefined) return;
    held.position = offset;
    held.turn = null;
    held.fetched = null;
    this.#fetcher.wake();
  }

  pause(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      const held = this.#held.get(placeName(partition));
      if (held === undefined) continue;
      held.paused = true;
      // Fetched again later, so that paused partitions cost no memory.
      held.turn = null;
      held.fetched = null;
    }
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      const held = this.#held.get(placeName(partition));
      if (held !== undefined) held.paused = false;
    }
    this.#fetcher.wake();
  }

  async setTopics(topics: readonly string[]): Promise<void> {
    await this.#registrations.add(this.#group, topics);
    this.#member.setTopics(topics);
  }

  async commit(partition: TopicPartition, next: bigint): Promise<void> {
    invariant(this.#everAssigned.has(placeName(partition)), "only a partition that was assigned is committed");
    if (this.#lost !== null) throw this.#lost;
    await this.#commits.commit({ topic: partition.topic, partition: partition.partition }, next);
  }

  /** It ends with this error. */
  lose(error: unknown): void {
    this.#lost ??= error;
    this.#closing ??= this.#fetcher.close();
    this.#commits.close();
    this.#wake?.();
  }

  /** Whoever keeps it lets go of it then. */
  whenClosed(forget: () => void): void {
    this.#forget = forget;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#forget?.();
    this.lose(new DataTraceError("log.closed"));
    await this.#member.close(this.#shared);
    await this.#closing;
    await this.#cluster[Symbol.asyncDispose]();
  }

  /** First the changes of assignment, in order, then what was fetched of each partition. */
  #take(): ReaderEvent[] {
    const events: ReaderEvent[] = [];
    for (const assignment of this.#assignments.splice(0)) this.#change(assignment, events);
    for (const [name, held] of this.#held) {
      const { fetched } = held;
      if (fetched === null || held.position === null) continue;
      const { records, taken } = fetched;
      const end = Math.min(taken + maxRecordsAtOnce, records.length);
      const part = taken === 0 && end === records.length ? records : records.slice(taken, end);
      const last = part.at(-1);
      invariant(last !== undefined, "what was fetched has records");
      const next = end === records.length ? fetched.next : last.offset + 1n;
      held.position = next;
      if (end === records.length) held.fetched = null;
      else fetched.taken = end;
      // To the end of the line, so that no partition is always the first to be served.
      this.#held.delete(name);
      this.#held.set(name, held);
      events.push({ kind: "batch", ...held.place, records: part, next, sizeBytes: sizeOfRecords(part) });
    }
    return events;
  }

  #change({ partitions, kept }: Assignment, events: ReaderEvent[]): void {
    const now = new Set(partitions.map(placeName));
    const revoked = [...this.#held].filter(([name]) => !kept || !now.has(name));
    for (const [name] of revoked) this.#held.delete(name);
    const added = partitions.filter((place) => !this.#held.has(placeName(place)));
    for (const place of added) {
      this.#held.set(placeName(place), { place, position: null, paused: false, turn: null, fetched: null });
      this.#everAssigned.add(placeName(place));
    }
    if (revoked.length > 0) events.push({ kind: "revoked", partitions: revoked.map(([, held]) => held.place) });
    if (added.length > 0) events.push({ kind: "assigned", partitions: added });
  }

  /** What is revoked delivers nothing from now on, even before the caller has heard of it. */
  #silence({ partitions, kept }: Assignment): void {
    const now = new Set(partitions.map(placeName));
    for (const [name, held] of this.#held) {
      if (kept && now.has(name)) continue;
      held.position = null;
      held.turn = null;
      held.fetched = null;
    }
  }

  /** Waits for something to be there. @throws The signal's reason. */
  async #news(signal: AbortSignal): Promise<void> {
    if (this.#lost !== null || this.#errors.length > 0 || this.#assignments.length > 0) return;
    if ([...this.#held.values()].some(({ fetched }) => fetched !== null)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    signal.addEventListener("abort", this.#wake, { once: true });
    await promise;
    signal.removeEventListener("abort", this.#wake);
    this.#wake = null;
  }
}
