import type { RecordBatch } from "./record-batch.ts";

/**
 * Splits batches into requests that follow each other: of a partition one batch in each, because brokers take no more,
 * in order (I4); and about `maxBytes` in all.
 */
export function planRounds(batches: readonly RecordBatch[], maxBytes: number): readonly (readonly RecordBatch[])[] {
  const rounds: { batches: RecordBatch[]; sizeBytes: number }[] = [];
  const nextRound = new Map<string, number>();
  for (const batch of batches) {
    const name = `${batch.partition} ${batch.topic}`;
    let number = nextRound.get(name) ?? 0;
    for (; ; number += 1) {
      const round = (rounds[number] ??= { batches: [], sizeBytes: 0 });
      if (round.sizeBytes > 0 && round.sizeBytes + batch.bytes.byteLength > maxBytes) continue;
      round.batches.push(batch);
      round.sizeBytes += batch.bytes.byteLength;
      break;
    }
    nextRound.set(name, number + 1);
  }
  return rounds.map((round) => round.batches);
}
