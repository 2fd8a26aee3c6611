import type { TopicPartition } from "@datatrace/core";

/** The order in which rows of `_datatrace_offsets` are locked, by claims and by applies: nobody waits in a circle. */
export function byPartition(left: TopicPartition, right: TopicPartition): number {
  if (left.topic !== right.topic) return left.topic < right.topic ? -1 : 1;
  return left.partition - right.partition;
}
