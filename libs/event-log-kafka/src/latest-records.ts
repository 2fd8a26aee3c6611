import type { StoredRecord } from "@datatrace/core";

import type { Cluster } from "./cluster.ts";
import { placeName, readBounds } from "./offsets.ts";
import { scanPartition } from "./partition-scan.ts";

/**
 * The last record of each key of a topic, deleted ones left out: partition by partition, in offset order.
 * @throws DataTraceError `log.topic_unknown`.
 */
export async function latestRecords(
  cluster: Cluster,
  topic: string,
  signal?: AbortSignal,
): Promise<readonly StoredRecord[]> {
  await cluster.persist(() => cluster.refresh([topic]), signal);
  const count = cluster.metadata.topic(topic)?.leaders.length ?? 1;
  const places = Array.from({ length: count }, (_, partition) => ({ topic, partition }));
  const bounds = await readBounds(cluster, places, signal);
  const found: StoredRecord[] = [];
  for (const place of places) {
    const { earliest, end } = bounds.get(placeName(place)) ?? { earliest: 0n, end: 0n };
    const latest = new Map<string, StoredRecord>();
    const take = (records: readonly StoredRecord[]): void => {
      for (const record of records) {
        const key = Buffer.from(record.key ?? []).toString("latin1");
        // Taken out first, so that the map's order is that of the offsets.
        latest.delete(key);
        if (record.value !== null) latest.set(key, owned(record));
      }
    };
    await scanPartition(cluster, place, earliest, end, take, signal);
    found.push(...latest.values());
  }
  return found;
}

/** A copy: a small record must not keep the whole answer in memory that it came in. */
function owned({ offset, key, value, headers }: StoredRecord): StoredRecord {
  return {
    offset,
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    headers,
  };
}
