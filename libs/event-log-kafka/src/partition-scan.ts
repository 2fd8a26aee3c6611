import { DataTraceError } from "@datatrace/core";
import type { RecordsRead, StoredRecord, TopicPartition } from "@datatrace/core";

import { codes, demandSuccess, isPassing } from "./broker-error.ts";
import type { Cluster } from "./cluster.ts";
import { fetchCall } from "./fetch-request.ts";
import type { FetchAnswer, FetchLimits } from "./fetch-request.ts";
import { visibleRecords } from "./visible-records.ts";

const limits: FetchLimits = { maxWaitMs: 100, maxBytes: 8 * 1024 * 1024, maxPartitionBytes: 8 * 1024 * 1024 };

/**
 * Reads a partition from `from` up to `to`, the end that it had when the question was asked, and answers where it came
 * to. It waits for the transactions that were open then: only their markers let a reader pass them, so what was
 * committed before, even a moment before, is seen.
 */
export async function scanPartition(
  cluster: Cluster,
  place: TopicPartition,
  from: bigint,
  to: bigint,
  take: (records: readonly StoredRecord[]) => void,
  signal?: AbortSignal,
): Promise<bigint> {
  let offset = from;
  while (offset < to) {
    const { records, next } = await readAt(cluster, place, offset, signal);
    if (records.length > 0) take(records);
    offset = next;
  }
  return offset;
}

/** What one fetch at this offset brings, perhaps nothing. @throws DataTraceError `log.topic_unknown`, `log.out_of_range`. */
export async function readAt(
  cluster: Cluster,
  place: TopicPartition,
  offset: bigint,
  signal?: AbortSignal,
): Promise<RecordsRead> {
  const answer = await cluster.persist(() => fetchOne(cluster, place, offset), signal);
  if (answer.errorCode === codes.offsetOutOfRange) {
    throw new DataTraceError("log.out_of_range", { detail: { ...place, offset: offset.toString() } });
  }
  return visibleRecords(answer, offset);
}

async function fetchOne(cluster: Cluster, place: TopicPartition, offset: bigint): Promise<FetchAnswer> {
  try {
    const call = fetchCall([{ ...place, offset }], limits);
    const answers = (await cluster.send(await cluster.leader(place), call, 1)) as readonly FetchAnswer[];
    const answer = answers[0];
    if (answer === undefined) throw new Error("a fetch is answered for its partition");
    if (answer.errorCode !== codes.offsetOutOfRange) demandSuccess("Fetch", answer.errorCode);
    return answer;
  } catch (error) {
    if (isPassing(error)) cluster.metadata.forget(place.topic);
    throw error;
  }
}
