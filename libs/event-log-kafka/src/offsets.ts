import type { LogBounds, TopicPartition } from "@datatrace/core";

import { codes, demandSuccess, isPassing } from "./broker-error.ts";
import type { Cluster } from "./cluster.ts";

// Times that stand for the ends of a partition.
const endTime = -1;
const earliestTime = -2;

interface Answer {
  readonly responses: readonly {
    readonly topic: string;
    readonly partitions: readonly { readonly partition: number; readonly errorCode: number; readonly offset: string }[];
  }[];
}

export function placeName({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

/** First offset and end of each partition, by `placeName`; the end counts what is not committed. */
export async function readBounds(
  cluster: Cluster,
  places: readonly TopicPartition[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, LogBounds>> {
  // In this order: an end that is read after an earliest is never below it.
  const earliest = await listOffsets(cluster, places, earliestTime, signal);
  const ends = await listOffsets(cluster, places, endTime, signal);
  return new Map(
    places.map((place) => {
      const name = placeName(place);
      return [name, { earliest: earliest.get(name) ?? 0n, end: ends.get(name) ?? 0n }];
    }),
  );
}

/** The offset of the first record that is not older than `timeMs`, by `placeName`; -1 when all are older. */
export async function readOffsetsAt(
  cluster: Cluster,
  places: readonly TopicPartition[],
  timeMs: number,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, bigint>> {
  return await listOffsets(cluster, places, timeMs, signal);
}

async function listOffsets(
  cluster: Cluster,
  places: readonly TopicPartition[],
  timestamp: number,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, bigint>> {
  const found = new Map<string, bigint>();
  await cluster.persist(async () => {
    const missing = places.filter((place) => !found.has(placeName(place)));
    try {
      for (const [leader, own] of await byLeader(cluster, missing)) {
        const topics = [...Map.groupBy(own, ({ topic }) => topic)].map(([topic, parts]) => ({
          topic,
          partitions: parts.map(({ partition }) => ({ partition, timestamp })),
        }));
        const answer = await cluster.ask<Answer>(leader, "ListOffsets", { replicaId: -1, isolationLevel: 0, topics });
        for (const { topic, partitions } of answer.responses) {
          for (const { partition, offset, errorCode } of partitions) {
            if (errorCode === codes.none) found.set(placeName({ topic, partition }), BigInt(offset));
            else demandSuccess("ListOffsets", errorCode);
          }
        }
      }
    } catch (error) {
      if (isPassing(error)) for (const { topic } of missing) cluster.metadata.forget(topic);
      throw error;
    }
  }, signal);
  return found;
}

/** @throws DataTraceError `log.topic_unknown`. */
export async function byLeader<T extends TopicPartition>(
  cluster: Cluster,
  places: readonly T[],
): Promise<ReadonlyMap<number, readonly T[]>> {
  const groups = new Map<number, T[]>();
  for (const place of places) {
    const leader = await cluster.leader(place);
    const group = groups.get(leader);
    if (group === undefined) groups.set(leader, [place]);
    else group.push(place);
  }
  return groups;
}
