import type { StoredRecord, TopicPartition } from "@datatrace/core";
import type { OpenedLog } from "./open-log.ts";

/** What is needed of a log to look at its records. */
export type ReadableLog = Pick<OpenedLog, "events" | "read">;

/**
 * The last records of a partition, oldest first, at most `count`; all of them when it has fewer. Offsets may hold no
 * record (markers and what was aborted on Kafka), so it looks back twice as far until there are enough.
 */
export async function lastRecords(
  log: ReadableLog,
  place: TopicPartition,
  count: number,
  signal: AbortSignal,
): Promise<{ readonly records: readonly StoredRecord[]; readonly next: bigint }> {
  const { earliest, end } = await log.events.bounds(place, signal);
  for (let reach = BigInt(count); ; reach *= 2n) {
    const from = end - reach > earliest ? end - reach : earliest;
    const records = await recordsBetween(log, place, from, end, signal);
    if (records.length >= count || from === earliest) return { records: records.slice(-count), next: end };
  }
}

/** The offset of the last record that a reader can see; null when the partition holds none. */
export async function lastOffset(log: ReadableLog, place: TopicPartition, signal: AbortSignal): Promise<bigint | null> {
  const { records } = await lastRecords(log, place, 1, signal);
  return records.at(-1)?.offset ?? null;
}

/**
 * The newest record of each key of a compacted topic that one writer has, tombstoned ones left out. Unlike `latestByKey` it does
 * not wait for a transaction that a killed writer has left open, which holds readers back until the next writer comes:
 * of one writer nothing behind it is committed, so nothing is missed (I7).
 */
export async function latestOfWriter(
  log: ReadableLog,
  topic: string,
  signal: AbortSignal,
): Promise<readonly StoredRecord[]> {
  const place = { topic, partition: 0 };
  const { earliest, end } = await log.events.bounds(place, signal);
  const latest = new Map<string, StoredRecord>();
  for (const record of await recordsBetween(log, place, earliest, end, signal)) {
    const key = Buffer.from(record.key ?? []).toString("latin1");
    if (record.value === null) latest.delete(key);
    else latest.set(key, record);
  }
  return [...latest.values()];
}

async function recordsBetween(
  log: ReadableLog,
  place: TopicPartition,
  from: bigint,
  end: bigint,
  signal: AbortSignal,
): Promise<readonly StoredRecord[]> {
  const found: StoredRecord[] = [];
  for (let at = from; at < end;) {
    const { records, next } = await log.read(place, at, signal);
    // At the end, or at the first offset of a transaction that is still open: nothing behind it can be seen yet.
    if (next === at) return found;
    for (const record of records) if (record.offset < end) found.push(record);
    at = next;
  }
  return found;
}
