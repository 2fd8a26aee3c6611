import type { TopicPartition } from "@datatrace/core";

import { demandSuccess } from "./broker-error.ts";
import type { Cluster } from "./cluster.ts";
import { placeName } from "./offsets.ts";

/** What a group has committed, and with which stamp. */
export interface CommittedOffset {
  readonly next: bigint;
  readonly stamp: string;
}

interface FetchedOffsets {
  readonly errorCode: number;
  readonly responses: readonly {
    readonly topic: string;
    readonly partitions: readonly {
      readonly partition: number;
      readonly offset: string;
      readonly metadata: string | null;
      readonly errorCode: number;
    }[];
  }[];
}

/** By `placeName`; partitions without a commit are left out. */
export async function readCommitted(
  cluster: Cluster,
  group: string,
  places: readonly TopicPartition[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, CommittedOffset>> {
  if (places.length === 0) return new Map();
  const topics = [...Map.groupBy(places, ({ topic }) => topic)].map(([topic, parts]) => ({
    topic,
    partitions: parts.map(({ partition }) => ({ partition })),
  }));
  const answer = await cluster.persist(
    () =>
      cluster.askCoordinator<FetchedOffsets>(
        "group",
        group,
        "OffsetFetch",
        { groupId: group, topics },
        ({ errorCode, responses }) =>
          errorCode ||
          (responses.flatMap(({ partitions }) => partitions).find((one) => one.errorCode !== 0)?.errorCode ?? 0),
      ),
    signal,
  );
  const found = new Map<string, CommittedOffset>();
  for (const { topic, partitions } of answer.responses) {
    for (const { partition, offset, metadata, errorCode } of partitions) {
      demandSuccess("OffsetFetch", errorCode);
      if (Number(offset) >= 0)
        found.set(placeName({ topic, partition }), { next: BigInt(offset), stamp: metadata ?? "" });
    }
  }
  return found;
}
