import { DataTraceError } from "@datatrace/core";
import type { TopicPartition } from "@datatrace/core";

import { codes, demandSuccess } from "./broker-error.ts";
import type { Cluster } from "./cluster.ts";
import { readCommitted } from "./committed-offsets.ts";
import type { GroupRegistrations, Registration } from "./group-registrations.ts";
import { byLeader, placeName, readBounds, readOffsetsAt } from "./offsets.ts";

interface Releasable extends TopicPartition {
  readonly below: bigint;
}

interface DeleteAnswer {
  readonly topics: readonly { readonly partitions: readonly { readonly errorCode: number }[] }[];
}

/**
 * Deletes records of data topics that every group which has the topic has applied, when they are old enough. Brokers
 * delete by age alone, applied or not, so they are told what may go. A topic that no group has keeps everything.
 */
export class Retention {
  readonly #cluster: Cluster;
  readonly #registrations: GroupRegistrations;
  readonly #isData: (topic: string, signal?: AbortSignal) => Promise<boolean>;

  constructor(
    cluster: Cluster,
    registrations: GroupRegistrations,
    isData: (topic: string, signal?: AbortSignal) => Promise<boolean>,
  ) {
    this.#cluster = cluster;
    this.#registrations = registrations;
    this.#isData = isData;
  }

  /** Deletes now all that may be deleted. */
  async run(signal?: AbortSignal): Promise<void> {
    const all = await this.#registrations.all(signal);
    const places = await this.#places([...new Set(all.map(({ topic }) => topic))], signal);
    if (places.length === 0) return;
    try {
      await this.#delete(await this.#releasable(all, places, signal), signal);
    } catch (error) {
      // A topic that was deleted in between has nothing left to release.
      if (!(error instanceof DataTraceError) || error.code !== "log.topic_unknown") throw error;
    }
  }

  async #places(topics: readonly string[], signal: AbortSignal | undefined): Promise<readonly TopicPartition[]> {
    if (topics.length === 0) return [];
    const found = await this.#cluster.persist(() => this.#cluster.refresh(topics), signal);
    const places: TopicPartition[] = [];
    for (const { name, leaders } of found) {
      if (!topics.includes(name) || !(await this.#isData(name, signal))) continue;
      places.push(...leaders.map((_, partition) => ({ topic: name, partition })));
    }
    return places;
  }

  async #releasable(
    all: readonly Registration[],
    places: readonly TopicPartition[],
    signal: AbortSignal | undefined,
  ): Promise<readonly Releasable[]> {
    const slowest = new Map<string, bigint>();
    for (const [group, own] of Map.groupBy(all, (one) => one.group)) {
      const stamps = new Map(own.map(({ topic, stamp }) => [topic, stamp]));
      const theirs = places.filter(({ topic }) => stamps.has(topic));
      const committed = await readCommitted(this.#cluster, group, theirs, signal);
      for (const place of theirs) {
        const commit = committed.get(placeName(place));
        const next = commit !== undefined && commit.stamp === stamps.get(place.topic) ? commit.next : 0n;
        const known = slowest.get(placeName(place));
        if (known === undefined || next < known) slowest.set(placeName(place), next);
      }
    }
    const candidates = places.filter((place) => (slowest.get(placeName(place)) ?? 0n) > 0n);
    if (candidates.length === 0) return [];
    const bounds = await readBounds(this.#cluster, candidates, signal);
    const { keepAppliedMs } = this.#cluster.settings;
    const kept =
      keepAppliedMs === 0 ? null : await readOffsetsAt(this.#cluster, candidates, Date.now() - keepAppliedMs, signal);
    return candidates.flatMap((place): Releasable[] => {
      const { earliest, end } = bounds.get(placeName(place)) ?? { earliest: 0n, end: 0n };
      const young = kept?.get(placeName(place)) ?? -1n;
      const limits = [slowest.get(placeName(place)) ?? 0n, end, ...(young < 0n ? [] : [young])];
      const below = limits.reduce((least, one) => (one < least ? one : least));
      return below > earliest ? [{ ...place, below }] : [];
    });
  }

  async #delete(releasable: readonly Releasable[], signal: AbortSignal | undefined): Promise<void> {
    if (releasable.length === 0) return;
    await this.#cluster.persist(async () => {
      for (const [leader, own] of await byLeader(this.#cluster, releasable)) {
        const topics = [...Map.groupBy(own, ({ topic }) => topic)].map(([topic, parts]) => ({
          topic,
          partitions: parts.map(({ partition, below }) => ({ partition, offset: below.toString() })),
        }));
        const answer = await this.#cluster.ask<DeleteAnswer>(leader, "DeleteRecords", { topics });
        for (const { errorCode } of answer.topics.flatMap(({ partitions }) => partitions)) {
          if (errorCode !== codes.offsetOutOfRange && errorCode !== codes.unknownTopic) {
            if (errorCode !== codes.none) for (const { topic } of own) this.#cluster.metadata.forget(topic);
            demandSuccess("DeleteRecords", errorCode);
          }
        }
      }
    }, signal);
  }
}
