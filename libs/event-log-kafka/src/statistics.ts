import type { Cluster } from "./cluster.ts";
import { readLogSizes } from "./log-sizes.ts";
import { placeName, readBounds } from "./offsets.ts";
import type { TopicDirectory } from "./topic-directory.ts";

/** What the log holds, for status and metrics. */
export interface LogStatistics {
  /** Bytes on the disks of the partitions' leaders: one copy. */
  readonly sizeBytes: number;
  readonly topics: readonly TopicStatistics[];
}

export interface TopicStatistics {
  readonly name: string;
  readonly partitions: number;
  readonly cleanup: "delete" | "compact";
  readonly sizeBytes: number;
  /** Offsets between earliest and end: more than there are records, by the markers and what compaction took. */
  readonly records: bigint;
  /** Offsets that were ever given. */
  readonly appended: bigint;
}

/** Of these topics; those that are gone are left out. */
export async function readStatistics(
  cluster: Cluster,
  directory: TopicDirectory,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<LogStatistics> {
  const topics: TopicStatistics[] = [];
  const sizes = names.length === 0 ? new Map<string, number>() : await readLogSizes(cluster, names, signal);
  for (const name of names) {
    const identity = await directory.find(name, signal);
    if (identity === null) continue;
    const { partitions, cleanup } = identity;
    const places = Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition }));
    const bounds = [...(await readBounds(cluster, places, signal)).values()];
    topics.push({
      name,
      partitions,
      cleanup,
      sizeBytes: places.reduce((sum, place) => sum + (sizes.get(placeName(place)) ?? 0), 0),
      records: bounds.reduce((sum, { earliest, end }) => sum + end - earliest, 0n),
      appended: bounds.reduce((sum, { end }) => sum + end, 0n),
    });
  }
  return { sizeBytes: topics.reduce((sum, topic) => sum + topic.sizeBytes, 0), topics };
}
