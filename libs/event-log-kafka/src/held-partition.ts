import type { StoredRecord, TopicPartition } from "@datatrace/core";

/** Fetched records that the caller has not taken all of yet. */
export interface FetchedRecords {
  readonly records: readonly StoredRecord[];
  readonly next: bigint;
  /** Index of the first that was not taken. */
  taken: number;
}

/** A partition that the caller knows to be assigned. */
export interface HeldPartition {
  readonly place: TopicPartition;
  /** Null until `seek`, and after `log.out_of_range`. */
  position: bigint | null;
  paused: boolean;
  /** The number of the fetch that is under way; null when there is none whose answer counts. */
  turn: number | null;
  fetched: FetchedRecords | null;
}
