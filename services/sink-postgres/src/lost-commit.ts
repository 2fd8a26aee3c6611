import type { ApplyOutcome, ApplyUnit, RereadRequest, TopicPartition } from "@datatrace/core";
import type { PipelinedSession } from "@datatrace/postgres";
import type { HelperTables } from "./helper-tables.ts";
import { byPartition } from "./partition-order.ts";
import { inTransaction } from "./transaction.ts";

/**
 * The answer to COMMIT was lost: what happened is decided from the stored offsets, never assumed (I5, I7). The rows are
 * locked, because the lost session may still be at it: once the lock is given, it has ended one way or the other.
 * @returns null when the unit was rolled back and may be applied again.
 */
export async function outcomeOfLostCommit(
  session: PipelinedSession,
  tables: HelperTables,
  delivery: string,
  unit: ApplyUnit,
  rereads: readonly RereadRequest[],
): Promise<ApplyOutcome | null> {
  const stored = await inTransaction(session, async () => {
    const found: { readonly at: TopicPartition; readonly epoch: bigint; readonly next: bigint }[] = [];
    for (const { topic, partition } of unit.partitions.toSorted(byPartition)) {
      const { rows } = await session.send({
        text: `SELECT epoch, next_offset FROM ${tables.offsets}
          WHERE delivery = $1 AND topic = $2 AND partition = $3 FOR UPDATE`,
        values: [delivery, topic, String(partition)],
      });
      const [epoch, next] = rows[0] ?? [];
      found.push({ at: { topic, partition }, epoch: BigInt(epoch ?? -1), next: BigInt(next ?? -1) });
    }
    return found;
  });
  // All partitions of the unit went together. Under our epoch nobody but the unit itself can have moved them.
  const mine = stored.filter(({ at, epoch }) => progressOf(unit, at)?.epoch === epoch);
  if (mine.some(({ at, next }) => progressOf(unit, at)?.next === next)) return { kind: "applied", rereads };
  const stale = stored.filter(
    ({ at, epoch, next }) => progressOf(unit, at)?.epoch !== epoch || progressOf(unit, at)?.loaded !== next,
  );
  return stale.length === 0 ? null : { kind: "stale", partitions: stale.map(({ at }) => at) };
}

function progressOf(unit: ApplyUnit, at: TopicPartition): ApplyUnit["partitions"][number] | undefined {
  return unit.partitions.find(({ topic, partition }) => topic === at.topic && partition === at.partition);
}
