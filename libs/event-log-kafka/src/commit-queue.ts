import { DataTraceError } from "@datatrace/core";
import type { TopicPartition } from "@datatrace/core";

import { BrokerError, codes, isPassing } from "./broker-error.ts";
import type { Cluster } from "./cluster.ts";
import { readCommitted } from "./committed-offsets.ts";
import type { GroupMember } from "./group-member.ts";
import type { GroupRegistrations } from "./group-registrations.ts";
import { placeName } from "./offsets.ts";
import { pause } from "./pause.ts";

const retryMs = 50;

interface Waiting {
  readonly place: TopicPartition;
  readonly next: bigint;
}

/** Commits of one member: those that come while one is under way are sent together after it. Never back (I2). */
export class CommitQueue {
  readonly #cluster: Cluster;
  readonly #group: string;
  readonly #registrations: GroupRegistrations;
  readonly #member: GroupMember;
  #committed = new Map<string, bigint>();
  #stamps: ReadonlyMap<string, string> | null = null;
  #waiting = new Map<string, Waiting>();
  #flushing: Promise<void> | null = null;
  #closed = false;

  constructor(cluster: Cluster, group: string, registrations: GroupRegistrations, member: GroupMember) {
    this.#cluster = cluster;
    this.#group = group;
    this.#registrations = registrations;
    this.#member = member;
  }

  /** After a change of assignment: others may have committed, and topics may have been made anew. */
  forget(): void {
    this.#committed = new Map();
    this.#stamps = null;
  }

  async commit(place: TopicPartition, next: bigint): Promise<void> {
    const name = placeName(place);
    const known = this.#waiting.get(name);
    if (known === undefined || known.next < next) this.#waiting.set(name, { place, next });
    // The one that is under way has been put together without this.
    while (this.#flushing !== null) await this.#flushing;
    if (this.#waiting.size === 0) return;
    const batch = [...this.#waiting.values()];
    this.#waiting = new Map();
    this.#flushing = this.#flush(batch).finally(() => {
      this.#flushing = null;
    });
    await this.#flushing;
  }

  close(): void {
    this.#closed = true;
  }

  async #flush(batch: readonly Waiting[]): Promise<void> {
    const endMs = performance.now() + this.#cluster.settings.patienceMs;
    for (;;) {
      if (this.#closed) throw new DataTraceError("log.closed");
      try {
        await this.#send(batch);
        return;
      } catch (error) {
        if (!isPassing(error) && !isBetweenAssignments(error)) throw error;
        if (performance.now() > endMs) throw new DataTraceError("log.connection_lost", { cause: error });
      }
      await pause(retryMs);
    }
  }

  async #send(batch: readonly Waiting[]): Promise<void> {
    this.#stamps ??= new Map((await this.#registrations.of(this.#group)).map(({ topic, stamp }) => [topic, stamp]));
    const stamps = this.#stamps;
    const unknown = batch.map(({ place }) => place).filter((place) => !this.#committed.has(placeName(place)));
    const before = await readCommitted(this.#cluster, this.#group, unknown);
    for (const place of unknown) {
      const own = before.get(placeName(place));
      const counts = own !== undefined && own.stamp === stamps.get(place.topic);
      this.#committed.set(placeName(place), counts ? own.next : -1n);
    }
    // I2: what was committed further is not taken back.
    const ahead = batch.filter(({ place, next }) => next > (this.#committed.get(placeName(place)) ?? -1n));
    if (ahead.length === 0) return;
    const { identity } = this.#member;
    if (identity === null) throw new BrokerError("OffsetCommit", codes.rebalanceInProgress);
    const topics = [...Map.groupBy(ahead, ({ place }) => place.topic)].map(([topic, parts]) => ({
      topic,
      partitions: parts.map(({ place, next }) => ({
        partition: place.partition,
        offset: next.toString(),
        metadata: stamps.get(topic) ?? "",
      })),
    }));
    await this.#cluster.askCoordinator<CommitAnswer>(
      "group",
      this.#group,
      "OffsetCommit",
      { groupId: this.#group, groupGenerationId: identity.generation, memberId: identity.memberId, topics },
      ({ responses }) =>
        responses.flatMap(({ partitions }) => partitions).find(({ errorCode }) => !harmless.has(errorCode))
          ?.errorCode ?? 0,
    );
    for (const { place, next } of ahead) this.#committed.set(placeName(place), next);
  }
}

interface CommitAnswer {
  readonly responses: readonly { readonly partitions: readonly { readonly errorCode: number }[] }[];
}

/** A topic that was deleted has nothing to commit. */
const harmless: ReadonlySet<number> = new Set([codes.none, codes.unknownTopic]);

function isBetweenAssignments(error: unknown): boolean {
  return (
    error instanceof BrokerError &&
    (error.code === codes.rebalanceInProgress ||
      error.code === codes.unknownMember ||
      error.code === codes.illegalGeneration)
  );
}
