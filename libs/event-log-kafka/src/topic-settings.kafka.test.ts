import { randomUUID } from "node:crypto";
import { ConfigResourceTypes, Kafka, logLevel } from "kafkajs";
import type { Admin } from "kafkajs";
import { testKafka } from "@datatrace/testkit";
import type { TestKafka } from "@datatrace/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { openKafkaEventLog } from "./kafka-event-log.ts";
import type { KafkaEventLog } from "./kafka-event-log.ts";

let kafka: TestKafka | undefined;
let admin: Admin | undefined;
let log: KafkaEventLog | undefined;

beforeAll(async () => {
  kafka = await testKafka();
  admin = new Kafka({ brokers: [...kafka.brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  log = await openKafkaEventLog({ brokers: kafka.brokers, controlPrefix: `settings-${randomUUID().slice(0, 8)}` });
}, 180_000);

afterAll(async () => {
  await log?.[Symbol.asyncDispose]();
  await admin?.disconnect();
  await kafka?.[Symbol.asyncDispose]();
});

function opened(): { log: KafkaEventLog; admin: Admin } {
  if (log === undefined || admin === undefined) throw new Error("the log was not opened");
  return { log, admin };
}

async function make(configs: Record<string, string>, numPartitions = 1): Promise<string> {
  const topic = `settings-${randomUUID().slice(0, 8)}`;
  const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }));
  await opened().admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }] });
  return topic;
}

const fitting = { "retention.ms": "-1", "retention.bytes": "-1", "max.message.bytes": "20000000" };

test.for([
  ["retention.ms", "604800000", "-1"],
  ["retention.bytes", "1000000", "-1"],
  ["max.message.bytes", "1000000", "16777216"],
  ["unclean.leader.election.enable", "true", "false"],
])("I3: a topic whose %s is %s is refused, and the error says what is needed", async ([setting, is, needed]) => {
  const name = await make({ ...fitting, [setting!]: is! });
  const ensuring = opened().log.ensureTopic({ name, partitions: 1, cleanup: "delete" });
  await expect(ensuring).rejects.toMatchObject({
    code: "log.topic_settings",
    detail: { topic: name, setting, is, needed },
  });
  // Nothing was noted down: it is still nobody's topic.
  expect(await opened().log.topic(name)).toMatchObject({ epoch: 0 });
});

test("a topic that somebody else has made is taken over when it fits, and gets an epoch", async () => {
  const name = await make(fitting, 2);
  expect(await opened().log.topic(name)).toEqual({ name, partitions: 2, cleanup: "delete", epoch: 0 });
  const made = await opened().log.ensureTopic({ name, partitions: 2, cleanup: "delete" });
  expect(made).toEqual({ name, partitions: 2, cleanup: "delete", epoch: 1 });
});

test("a topic that was given more partitions is log.partitions_changed", async () => {
  const name = `grown-${randomUUID().slice(0, 8)}`;
  await opened().log.ensureTopic({ name, partitions: 1, cleanup: "delete" });
  await opened().admin.createPartitions({ topicPartitions: [{ topic: name, count: 2 }] });
  await expect(opened().log.ensureTopic({ name, partitions: 1, cleanup: "delete" })).rejects.toMatchObject({
    code: "log.partitions_changed",
    detail: { partitions: 2, needed: 1 },
  });
});

test("I2: a topic that was deleted by others and is made again gets a higher epoch", async () => {
  const spec = { name: `gone-${randomUUID().slice(0, 8)}`, partitions: 1, cleanup: "delete" } as const;
  const first = await opened().log.ensureTopic(spec);
  await opened().admin.deleteTopics({ topics: [spec.name] });
  expect(await opened().log.topic(spec.name)).toBeNull();
  const second = await opened().log.ensureTopic(spec);
  expect(second.epoch).toBeGreaterThan(first.epoch);
});

test("topics are made with the settings that are relied on", async () => {
  const name = `made-${randomUUID().slice(0, 8)}`;
  await opened().log.ensureTopic({ name, partitions: 3, cleanup: "compact" });
  const described = await opened().admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name }],
  });
  const settings = Object.fromEntries(
    described.resources[0]!.configEntries.map(({ configName, configValue }) => [configName, configValue]),
  );
  expect(settings).toMatchObject({
    "cleanup.policy": "compact",
    "max.message.bytes": "16777216",
    "min.insync.replicas": "1",
    "unclean.leader.election.enable": "false",
    "segment.ms": "600000",
    "segment.bytes": "16777216",
  });
});

test("a group's lag is what ordinary Kafka tools show", async () => {
  const { log: own } = opened();
  const name = `lag-${randomUUID().slice(0, 8)}`;
  await own.ensureTopic({ name, partitions: 1, cleanup: "delete" });
  await using reader = await own.openReader(name, [name]);
  await reader.poll(AbortSignal.timeout(20_000));
  await reader.commit({ topic: name, partition: 0 }, 7n);
  const [offsets] = await opened().admin.fetchOffsets({ groupId: name, topics: [name] });
  expect(offsets?.partitions[0]?.offset).toBe("7");
  const { groups } = await opened().admin.describeGroups([name]);
  expect(groups[0]).toMatchObject({ state: "Stable", protocolType: "consumer", members: [{}] });
});

test("statistics count offsets and bytes", async () => {
  const { log: own } = opened();
  const name = `counted-${randomUUID().slice(0, 8)}`;
  await own.ensureTopic({ name, partitions: 2, cleanup: "delete" });
  await using writer = await own.openWriter(name);
  await writer.append([0, 1].map((partition) => ({ topic: name, partition, key: null, value: Buffer.alloc(1000) })));
  const [topic] = (await own.statistics(name)).topics;
  expect(topic).toMatchObject({ name, partitions: 2, cleanup: "delete" });
  // A record and the marker of its commit in each, which may still be on its way.
  expect(topic?.appended).toBeGreaterThanOrEqual(2n);
  expect(topic?.sizeBytes).toBeGreaterThan(2000);
});
