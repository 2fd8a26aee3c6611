import type { TopicPartition } from "@datatrace/core";

/** `topic/partition`, for maps and messages. */
export function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
