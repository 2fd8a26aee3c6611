import type { TopicPartition } from "@datatrace/core";

/** A record as it should be there. */
export interface ModelledRecord {
  readonly offset: bigint;
  readonly key: string;
  readonly value: string | null;
}

/** A partition as the model has it. */
export interface Place extends TopicPartition {
  readonly compacted: boolean;
  readonly records: ModelledRecord[];
  /** Where the reader goes on. */
  position: bigint;
  committed: bigint;
  paused: boolean;
}
