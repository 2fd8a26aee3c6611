import { randomUUID } from "node:crypto";
import type { EventLog, StoredRecord } from "@datatrace/core";

/** Everything that a topic holds now, partition by partition. */
export async function readTopic(log: EventLog, topic: string): Promise<readonly (readonly StoredRecord[])[]> {
  const identity = await log.topic(topic);
  if (identity === null) return [];
  const ends = new Map<number, bigint>();
  for (let partition = 0; partition < identity.partitions; partition += 1) {
    const { end } = await log.bounds({ topic, partition });
    ends.set(partition, end);
  }
  const records: StoredRecord[][] = Array.from({ length: identity.partitions }, () => []);
  const group = `test.${randomUUID()}`;
  const deadline = AbortSignal.timeout(20_000);
  {
    await using reader = await log.openReader(group, [topic]);
    const open = new Set([...ends].filter(([, end]) => end > 0n).map(([partition]) => partition));
    while (open.size > 0) {
      for (const event of await reader.poll(deadline)) {
        if (event.kind === "assigned") for (const at of event.partitions) reader.seek(at, 0n);
        if (event.kind !== "batch") continue;
        records[event.partition]?.push(...event.records.map(copied));
        if (event.next >= (ends.get(event.partition) ?? 0n)) open.delete(event.partition);
      }
    }
  }
  await log.removeGroup(group);
  return records;
}

/** What outlives its batch has memory of its own. */
function copied({ offset, key, value, headers }: StoredRecord): StoredRecord {
  return {
    offset,
    key: key === null ? null : Uint8Array.from(key),
    value: value === null ? null : Uint8Array.from(value),
    headers,
  };
}
