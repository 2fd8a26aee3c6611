/** What the log holds, for status and metrics. */
export interface LogStatistics {
  /** Bytes on disk of the log's file and its write-ahead log. */
  readonly sizeBytes: number;
  /** Bytes of the file that hold something: what the size limit is held against. */
  readonly usedBytes: number;
  readonly maxSizeBytes: number;
  readonly topics: readonly TopicStatistics[];
}

export interface TopicStatistics {
  readonly name: string;
  readonly partitions: number;
  readonly cleanup: "delete" | "compact";
  /** Records that are stored now. */
  readonly records: bigint;
  /** Records that were ever appended. */
  readonly appended: bigint;
}
