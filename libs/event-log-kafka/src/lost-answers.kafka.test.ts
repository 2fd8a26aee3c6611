import { randomUUID } from "node:crypto";
import { Kafka, logLevel } from "kafkajs";
import type { LogRecord } from "@datatrace/core";
import { startKafka, TcpProxy } from "@datatrace/testkit";
import type { KafkaServer } from "@datatrace/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { Cluster } from "./cluster.ts";
import { settingsOf } from "./kafka-options.ts";
import { openKafkaEventLog } from "./kafka-event-log.ts";
import type { KafkaEventLog } from "./kafka-event-log.ts";
import { TransactionalProducer } from "./transactional-producer.ts";

let kafka: KafkaServer | undefined;
let proxy: TcpProxy | undefined;

beforeAll(async () => {
  kafka = await startKafka({
    advertise: async (ports) => {
      proxy = await TcpProxy.start(ports[0] ?? 0);
      return [proxy.port];
    },
  });
}, 180_000);

afterAll(async () => {
  await kafka?.[Symbol.asyncDispose]();
  await proxy?.[Symbol.asyncDispose]();
});

/** Requests begin with their length and their number in the protocol. */
const requests = { produce: 0, addPartitions: 24, endTransaction: 26 } as const;

function network(): TcpProxy {
  if (proxy === undefined) throw new Error("the proxy was not started");
  return proxy;
}

function isRequest(chunk: Buffer, request: keyof typeof requests): boolean {
  return chunk.byteLength > 8 && chunk.readInt16BE(4) === requests[request];
}

async function open(): Promise<{ log: KafkaEventLog; topic: string }> {
  const log = await openKafkaEventLog({
    brokers: kafka?.brokers ?? [],
    controlPrefix: `lost-${randomUUID().slice(0, 8)}`,
    patienceMs: 20_000,
    requestTimeoutMs: 5000,
  });
  const topic = `lost-${randomUUID().slice(0, 8)}`;
  await log.ensureTopic({ name: topic, partitions: 2, cleanup: "delete" });
  return { log, topic };
}

function both(topic: string, value: string): LogRecord[] {
  return [0, 1].map((partition) => ({ topic, partition, key: null, value: Buffer.from(value) }));
}

/** All values of a partition, read by another client: kafkajs' own consumer. */
async function readAll(topic: string, until: string): Promise<Record<number, string[]>> {
  const client = new Kafka({ brokers: [...(kafka?.brokers ?? [])], logLevel: logLevel.NOTHING });
  const consumer = client.consumer({ groupId: `check-${randomUUID()}`, maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const values: Record<number, string[]> = { 0: [], 1: [] };
  const { promise, resolve } = Promise.withResolvers<void>();
  await consumer.run({
    eachMessage: ({ partition, message }) => {
      values[partition]?.push(message.value?.toString() ?? "");
      if (Object.values(values).every((own) => own.at(-1) === until)) resolve();
      return Promise.resolve();
    },
  });
  await promise;
  await consumer.disconnect();
  return values;
}

test.for(["produce", "addPartitions", "endTransaction"] as const)(
  "I3: an append whose %s was answered into nothing is there once",
  async (request) => {
    const { log, topic } = await open();
    await using _log = log;
    await using writer = await log.openWriter(topic);
    await writer.append(both(topic, "before"));
    const cut = network().cutOn({
      direction: "to-server",
      match: (chunk) => isRequest(chunk, request),
      cut: "answer",
    });
    const ranges = await writer.append(both(topic, "during"));
    await cut.fired;
    expect(ranges).toHaveLength(2);
    await writer.append(both(topic, "end"));
    const values = await readAll(topic, "end");
    expect(values).toEqual({ 0: ["before", "during", "end"], 1: ["before", "during", "end"] });
  },
);

test.for(["produce", "addPartitions", "endTransaction"] as const)(
  "I3: an append whose %s never arrived is there once",
  async (request) => {
    const { log, topic } = await open();
    await using _log = log;
    await using writer = await log.openWriter(topic);
    const cut = network().cutOn({
      direction: "to-server",
      match: (chunk) => isRequest(chunk, request),
      cut: "before",
    });
    await writer.append(both(topic, "during"));
    await cut.fired;
    await writer.append(both(topic, "end"));
    expect(await readAll(topic, "end")).toEqual({ 0: ["during", "end"], 1: ["during", "end"] });
  },
);

test("I5: an append whose commit was answered into nothing, and whose id was taken over, is log.commit_unknown", async () => {
  const { log, topic } = await open();
  await using _log = log;
  await using writer = await log.openWriter(topic);
  // Connected before nobody else can connect any more.
  await using other = new Cluster(settingsOf({ brokers: kafka?.brokers ?? [] }));
  await other.coordinator("transaction", topic);
  await other.askCoordinator(
    "transaction",
    topic,
    "InitProducerId",
    { transactionalId: null, transactionTimeout: 1 },
    () => 0,
  );
  const cut = network().cutOn({
    direction: "to-server",
    match: (chunk) => isRequest(chunk, "endTransaction"),
    cut: "answer",
  });
  const outcome = writer.append(both(topic, "kept")).catch((error: unknown) => error);
  await network().refuse();
  await cut.fired;
  await TransactionalProducer.open(other, topic);
  await network().accept();
  expect(await outcome).toMatchObject({ code: "log.commit_unknown" });
  await expect(writer.append(both(topic, "zombie"))).rejects.toMatchObject({ code: "log.commit_unknown" });
  await using next = await log.openWriter(topic);
  await next.append(both(topic, "end"));
  expect(await readAll(topic, "end")).toEqual({ 0: ["kept", "end"], 1: ["kept", "end"] });
});

test("while the broker cannot be reached, appends wait, and go on when it is back", async () => {
  const { log, topic } = await open();
  await using _log = log;
  await using writer = await log.openWriter(topic);
  await writer.append(both(topic, "before"));
  await network().refuse();
  network().cut();
  const appending = writer.append(both(topic, "during"));
  await expect(log.bounds({ topic, partition: 0 }, AbortSignal.timeout(300))).rejects.toMatchObject({
    name: "TimeoutError",
  });
  await network().accept();
  await appending;
  await writer.append(both(topic, "end"));
  expect(await readAll(topic, "end")).toEqual({ 0: ["before", "during", "end"], 1: ["before", "during", "end"] });
});
