import { statSync } from "node:fs";
import { join } from "node:path";

import { temporaryDirectory, waitFor } from "@datatrace/testkit";
import { expect, test } from "vitest";

import { openSqliteEventLog } from "./sqlite-event-log.ts";

const timeout = 60_000;
const mebibyte = 1024 * 1024;
const value = Buffer.alloc(100_000, 1);

test(
  "what is no longer needed is deleted while appends go on, and the disk gets its space back",
  { timeout },
  async () => {
    await using directory = await temporaryDirectory("log");
    await using log = await openSqliteEventLog({ directory: directory.path });
    await log.ensureTopic({ name: "orders", partitions: 2, cleanup: "delete" });
    await using writer = await log.openWriter("writer");
    const records = [0, 1].map((partition) => ({ topic: "orders", partition, key: null, value }));
    for (let round = 0; round < 400; round += 1) await writer.append(records);
    const full = await log.statistics();
    expect(full.usedBytes).toBeGreaterThan(75 * mebibyte);
    expect(full.topics).toMatchObject([
      { name: "orders", partitions: 2, cleanup: "delete", records: 800n, appended: 800n },
    ]);

    await using reader = await log.openReader("group", ["orders"]);
    await reader.poll(AbortSignal.timeout(10_000));
    for (const partition of [0, 1]) await reader.commit({ topic: "orders", partition }, 400n);
    let appended = 0;
    const emptied = async (): Promise<boolean> => {
      await writer.append([{ topic: "orders", partition: 0, key: null, value: Buffer.from("small") }]);
      appended += 1;
      return (await log.bounds({ topic: "orders", partition: 1 })).earliest === 400n;
    };
    await waitFor(emptied, { deadlineMs: 30_000, what: "the deletion", intervalMs: 1 });
    expect((await log.bounds({ topic: "orders", partition: 0 })).end).toBe(400n + BigInt(appended));
    const small = async (): Promise<boolean> => (await log.statistics()).usedBytes < 2 * mebibyte;
    await waitFor(small, { deadlineMs: 30_000, what: "the other partition" });
    const path = join(directory.path, "log.sqlite");
    await waitFor(() => statSync(path).size < 25 * mebibyte, { deadlineMs: 30_000, what: "a smaller file" });
    await log.reclaim();
    expect(statSync(path).size).toBeLessThan(mebibyte);
    const [counted] = (await log.statistics()).topics;
    expect(counted).toMatchObject({ records: BigInt(appended), appended: 800n + BigInt(appended) });
  },
);

test("the records of a deleted topic give their space back", { timeout }, async () => {
  await using directory = await temporaryDirectory("log");
  await using log = await openSqliteEventLog({ directory: directory.path });
  await log.ensureTopic({ name: "orders", partitions: 2, cleanup: "delete" });
  await log.ensureTopic({ name: "state", partitions: 1, cleanup: "compact" });
  await using writer = await log.openWriter("writer");
  for (let round = 0; round < 100; round += 1) {
    const key = Buffer.from(String(round));
    await writer.append(["orders", "state"].map((topic) => ({ topic, partition: 0, key, value })));
  }
  expect((await log.statistics()).usedBytes).toBeGreaterThan(19 * mebibyte);
  await log.deleteTopics(["orders", "state"]);
  const emptied = async (): Promise<boolean> => (await log.statistics()).usedBytes < mebibyte;
  await waitFor(emptied, { deadlineMs: 30_000, what: "the deletion" });
});

test("the write-ahead log stays small", { timeout }, async () => {
  await using directory = await temporaryDirectory("log");
  await using log = await openSqliteEventLog({ directory: directory.path });
  await log.ensureTopic({ name: "orders", partitions: 1, cleanup: "delete" });
  await using writer = await log.openWriter("writer");
  let largestBytes = 0;
  for (let round = 0; round < 100; round += 1) {
    await writer.append(Array.from({ length: 20 }, () => ({ topic: "orders", partition: 0, key: null, value })));
    largestBytes = Math.max(largestBytes, statSync(join(directory.path, "log.sqlite-wal")).size);
  }
  expect(largestBytes).toBeLessThan(32 * mebibyte);
});

test("log.full leaves a reserve for all that is not data", { timeout }, async () => {
  await using directory = await temporaryDirectory("log");
  await using log = await openSqliteEventLog({ directory: directory.path, maxSizeBytes: 2 * mebibyte });
  await log.ensureTopic({ name: "orders", partitions: 1, cleanup: "delete" });
  await log.ensureTopic({ name: "state", partitions: 1, cleanup: "compact" });
  await using writer = await log.openWriter("writer");
  const fill = async (topic: string): Promise<void> => {
    for (let round = 0; round < 1000; round += 1) {
      await writer.append([{ topic, partition: 0, key: Buffer.from(String(round)), value }]);
    }
  };
  await expect(fill("orders")).rejects.toMatchObject({ code: "log.full", detail: { maxSizeBytes: 2 * mebibyte } });
  expect((await log.statistics()).usedBytes).toBeLessThanOrEqual(2 * mebibyte);
  await log.registry.register("orders-value", '"string"');
  await log.registerGroup("group", ["orders"]);
  // The reserve has an end too, and is met as the same error; nothing of the append remains.
  await expect(fill("state")).rejects.toMatchObject({ code: "log.full" });
  const states = await log.latestByKey("state");
  expect(states.length).toBeGreaterThan(30);
  expect((await log.bounds({ topic: "state", partition: 0 })).end).toBe(BigInt(states.length));
  await log.deleteTopics(["state"]);
  await log.reclaim();
  await log.ensureTopic({ name: "state", partitions: 1, cleanup: "compact" });
  await writer.append([{ topic: "state", partition: 0, key: Buffer.from("key"), value: null }]);
});

test("deletion from many partitions takes a few steps, not one for each", { timeout }, async () => {
  await using directory = await temporaryDirectory("log");
  await using log = await openSqliteEventLog({ directory: directory.path });
  await log.ensureTopic({ name: "orders", partitions: 1500, cleanup: "delete" });
  await using writer = await log.openWriter("writer");
  const partitions = Array.from({ length: 1500 }, (_, partition) => ({ topic: "orders", partition }));
  await writer.append(partitions.map((place) => ({ ...place, key: null, value: null })));
  await using reader = await log.openReader("group", ["orders"]);
  await reader.poll(AbortSignal.timeout(30_000));
  await Promise.all(partitions.map((place) => reader.commit(place, 1n)));
  const startMs = performance.now();
  await log.reclaim();
  expect(performance.now() - startMs).toBeLessThan(5000);
  expect((await log.statistics()).topics).toMatchObject([{ records: 0n, appended: 1500n }]);
});
