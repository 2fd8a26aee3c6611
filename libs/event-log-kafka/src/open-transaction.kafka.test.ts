import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { Kafka, logLevel, Partitioners } from "kafkajs";
import type { Transaction } from "kafkajs";
import { testKafka } from "@datatrace/testkit";
import type { TestKafka } from "@datatrace/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { openKafkaEventLog } from "./kafka-event-log.ts";
import type { KafkaEventLog } from "./kafka-event-log.ts";

let kafka: TestKafka | undefined;
let log: KafkaEventLog | undefined;
const disconnect: (() => Promise<void>)[] = [];

beforeAll(async () => {
  kafka = await testKafka();
  log = await openKafkaEventLog({ brokers: kafka.brokers, controlPrefix: `open-${randomUUID().slice(0, 8)}` });
}, 180_000);

afterAll(async () => {
  for (const end of disconnect) await end();
  await log?.[Symbol.asyncDispose]();
  await kafka?.[Symbol.asyncDispose]();
});

function opened(): KafkaEventLog {
  if (log === undefined) throw new Error("the log was not opened");
  return log;
}

async function newTopic(cleanup: "delete" | "compact"): Promise<string> {
  const name = `open-${randomUUID().slice(0, 8)}`;
  await opened().ensureTopic({ name, partitions: 1, cleanup });
  return name;
}

/** Transactions of somebody who is not us. */
async function stranger(): Promise<() => Promise<Transaction>> {
  const client = new Kafka({ brokers: [...(kafka?.brokers ?? [])], logLevel: logLevel.NOTHING });
  const producer = client.producer({
    transactionalId: randomUUID(),
    createPartitioner: Partitioners.DefaultPartitioner,
    retry: { initialRetryTime: 5, multiplier: 1, factor: 0, retries: 1000 },
  });
  await producer.connect();
  disconnect.push(() => producer.disconnect());
  return () => producer.transaction();
}

async function send(transaction: Transaction, topic: string, value: string): Promise<void> {
  await transaction.send({ topic, messages: [{ partition: 0, key: "key", value }] });
}

test("I5: state is not answered as it was before a transaction that was open, but when that has ended", async () => {
  const topic = await newTopic("compact");
  const begin = await stranger();
  const before = await begin();
  await send(before, topic, "old");
  await before.commit();
  const open = await begin();
  await send(open, topic, "new");
  const reading = opened().latestByKey(topic);
  // Longer than a fetch waits for news.
  await delay(400);
  await open.commit();
  expect((await reading).map(({ value }) => Buffer.from(value ?? []).toString())).toEqual(["new"]);
});

test("I5: a reader is shown nothing of aborted transactions that lie between those of another writer", async () => {
  const topic = await newTopic("delete");
  const [one, two] = [await stranger(), await stranger()];
  for (let round = 0; round < 5; round += 1) {
    const aborted = [await one(), await two()];
    for (const transaction of aborted) await send(transaction, topic, "aborted");
    await aborted[0]?.abort();
    const kept = await one();
    await send(kept, topic, `kept ${round}`);
    for (const transaction of aborted.slice(1)) await send(transaction, topic, "aborted");
    await aborted[1]?.abort();
    await kept.commit();
  }
  const values: string[] = [];
  await using reader = await opened().openReader(topic, [topic]);
  const signal = AbortSignal.timeout(30_000);
  while (values.at(-1) !== "kept 4") {
    for (const event of await reader.poll(signal)) {
      if (event.kind === "assigned") reader.seek({ topic, partition: 0 }, 0n);
      if (event.kind === "batch") values.push(...event.records.map(({ value }) => Buffer.from(value ?? []).toString()));
    }
  }
  expect(values).toEqual([0, 1, 2, 3, 4].map((round) => `kept ${round}`));
});
