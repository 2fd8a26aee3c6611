import { randomUUID } from "node:crypto";
import { Secret } from "@datatrace/core";
import { RecordingLogger, testKafka } from "@datatrace/testkit";
import type { TestKafka } from "@datatrace/testkit";
import { Kafka, logLevel } from "kafkajs";
import type { Producer } from "kafkajs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { lastOffset, lastRecords, latestOfWriter } from "./log-records.ts";
import { openKafkaLog } from "./open-kafka-log.ts";
import type { OpenedLog } from "./open-log.ts";

let kafka: TestKafka;

beforeAll(async () => {
  kafka = await testKafka();
}, 180_000);

afterAll(async () => {
  await kafka[Symbol.asyncDispose]();
});

async function openLog(): Promise<OpenedLog> {
  return await openKafkaLog(
    {
      kind: "kafka",
      brokers: kafka.brokers,
      ssl: false,
      sasl: null,
      registry: { url: new Secret("http://127.0.0.1:1"), login: null, tls: null },
      topicPrefix: "p",
      replicationFactor: null,
      line: 1,
    },
    { logger: new RecordingLogger() },
    AbortSignal.timeout(20_000),
  );
}

async function makeTopic(log: OpenedLog, cleanup: "delete" | "compact"): Promise<string> {
  const topic = `records-${randomUUID()}`;
  await log.events.ensureTopic({ name: topic, partitions: 1, cleanup });
  return topic;
}

/** A writer that is not ours, because ours never leaves a transaction behind unless it is killed. */
async function begin(work: (producer: Producer) => Promise<void>): Promise<void> {
  const client = new Kafka({ brokers: [...kafka.brokers], logLevel: logLevel.NOTHING });
  const producer = client.producer({ transactionalId: randomUUID(), maxInFlightRequests: 1 });
  await producer.connect();
  await work(producer);
  await producer.disconnect();
}

const bytes = (text: string) => Buffer.from(text);

test("the last records are found behind markers and what was aborted", async () => {
  await using log = await openLog();
  const topic = await makeTopic(log, "delete");
  const place = { topic, partition: 0 };
  const never = new AbortController().signal;
  expect(await lastOffset(log, place, never)).toBeNull();
  await using writer = await log.events.openWriter(topic);
  const values = ["a", "b", "c"];
  await writer.append(values.map((value) => ({ ...place, key: null, value: bytes(value) })));
  await begin(async (producer) => {
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: Array.from({ length: 20 }, () => ({ value: "aborted" })) });
    await transaction.abort();
  });
  expect((await log.events.bounds(place)).end).toBeGreaterThan(20n);
  expect(await lastOffset(log, place, never)).toBe(2n);
  const { records } = await lastRecords(log, place, 2, never);
  expect(records.map(({ value }) => Buffer.from(value ?? []).toString())).toEqual(["b", "c"]);
  expect((await lastRecords(log, place, 100, never)).records).toHaveLength(3);
});

test("I7: a transaction that was left open does not keep the newest records of its writer waiting", async () => {
  await using log = await openLog();
  const topic = await makeTopic(log, "compact");
  const append = async (key: string, value: string | null): Promise<void> => {
    await using writer = await log.events.openWriter(topic);
    await writer.append([{ topic, partition: 0, key: bytes(key), value: value === null ? null : bytes(value) }]);
  };
  await append("one", "old");
  await append("two", "gone");
  await append("two", null);
  await append("one", "new");
  await begin(async (producer) => {
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: [{ key: "one", value: "never committed" }] });
    const found = await latestOfWriter(log, topic, AbortSignal.timeout(10_000));
    expect(found.map(({ value }) => Buffer.from(value ?? []).toString())).toEqual(["new"]);
    await transaction.abort();
  });
});
