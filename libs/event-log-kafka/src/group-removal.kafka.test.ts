import { randomUUID } from "node:crypto";
import { testKafka } from "@datatrace/testkit";
import { expect, test } from "vitest";

import { Cluster } from "./cluster.ts";
import { deleteGroup } from "./group-removal.ts";
import { openKafkaEventLog } from "./kafka-event-log.ts";
import { settingsOf } from "./kafka-options.ts";

test("I7: a removal that ended when Kafka had forgotten the group is found again, and repeated", async () => {
  await using kafka = await testKafka();
  const name = `removal-${randomUUID().slice(0, 8)}`;
  const options = { brokers: kafka.brokers, controlPrefix: name };
  await using log = await openKafkaEventLog(options);
  await log.ensureTopic({ name, partitions: 1, cleanup: "delete" });
  await using writer = await log.openWriter(name);
  await writer.append([{ topic: name, partition: 0, key: null, value: Buffer.from("a") }]);
  const place = { topic: name, partition: 0 };
  {
    await using reader = await log.openReader(name, [name]);
    await reader.poll(AbortSignal.timeout(30_000));
    await reader.commit(place, 1n);
  }
  expect(await log.groupProgress(name)).toMatchObject([{ ...place, next: 1n }]);
  await using cluster = new Cluster(settingsOf(options));
  await deleteGroup(cluster, name);
  // Still known, with nothing applied: what it has not applied is kept.
  expect(await log.groupProgress(name)).toMatchObject([{ ...place, next: null }]);
  await log.removeGroup(name);
  expect(await log.groupProgress(name)).toEqual([]);
}, 180_000);
