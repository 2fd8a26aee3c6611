import { DataTraceError, failpoint } from "@datatrace/core";
import type { Claim, ClaimedTopicPartition, RereadRequest, TopicPartition } from "@datatrace/core";
import type { PipelinedSession } from "@datatrace/postgres";
import { byPartition } from "./partition-order.ts";
import type { HelperTables } from "./helper-tables.ts";
import { inTransaction } from "./transaction.ts";

/**
 * Raises the epoch of each partition and returns where it stands. A row of another topic epoch is left as it is:
 * offsets of a topic that was made anew mean nothing.
 */
export async function claimPartitions(
  session: PipelinedSession,
  tables: HelperTables,
  delivery: string,
  partitions: readonly (ClaimedTopicPartition & { readonly start: bigint })[],
): Promise<readonly Claim[]> {
  const text = `INSERT INTO ${tables.offsets} AS o (delivery, topic, partition, topic_epoch, epoch, next_offset)
    VALUES ($1, $2, $3, $4, 1, $5)
    ON CONFLICT (delivery, topic, partition) DO UPDATE SET epoch = o.epoch + 1, claimed_at = now()
      WHERE o.topic_epoch = EXCLUDED.topic_epoch
    RETURNING epoch, next_offset`;
  const claims = await inTransaction(session, async () => {
    const taken: Claim[] = [];
    for (const { topic, partition, topicEpoch, start } of partitions.toSorted(byPartition)) {
      const values = [delivery, topic, String(partition), String(topicEpoch), String(start)];
      const [row] = (await session.send({ text, values })).rows;
      if (row === undefined) throw new DataTraceError("log.topic_recreated", { detail: { topic, partition } });
      const [epoch, next] = row;
      taken.push({ topic, partition, epoch: BigInt(epoch ?? 0), next: BigInt(next ?? 0) });
    }
    return taken;
  });
  failpoint("sink.after_claim");
  return claims;
}

/** Where every partition of a delivery stands. */
export async function storedProgress(
  session: PipelinedSession,
  tables: HelperTables,
  delivery: string,
): Promise<readonly (TopicPartition & { readonly next: bigint })[]> {
  const { rows } = await session.send({
    text: `SELECT topic, partition, next_offset FROM ${tables.offsets} WHERE delivery = $1`,
    values: [delivery],
  });
  return rows.map(([topic, partition, next]) => ({
    topic: topic ?? "",
    partition: Number(partition),
    next: BigInt(next ?? 0),
  }));
}

export async function storedParkedKeys(
  session: PipelinedSession,
  tables: HelperTables,
  delivery: string,
  partitions: readonly TopicPartition[],
): Promise<readonly (TopicPartition & { readonly key: Uint8Array })[]> {
  const { rows } = await session.send({
    text: `SELECT DISTINCT q.topic, q.partition, encode(q.key, 'hex')
      FROM ${tables.quarantine} q JOIN json_to_recordset($2) AS p(topic text, partition int)
        ON q.topic = p.topic AND q.partition = p.partition
      WHERE q.delivery = $1 AND q.state = 'parked'`,
    values: [delivery, JSON.stringify(partitions.map(({ topic, partition }) => ({ topic, partition })))],
  });
  return rows.map(([topic, partition, key]) => ({
    topic: topic ?? "",
    partition: Number(partition),
    key: Buffer.from(key ?? "", "hex"),
  }));
}

export async function storedRereads(
  session: PipelinedSession,
  tables: HelperTables,
  delivery: string,
): Promise<readonly RereadRequest[]> {
  const { rows } = await session.send({
    text: `SELECT topic, encode(key, 'hex') FROM ${tables.rereads} WHERE delivery = $1`,
    values: [delivery],
  });
  return rows.map(([topic, key]) => ({ topic: topic ?? "", key: Buffer.from(key ?? "", "hex") }));
}
