import { EventLogProcess, waitFor } from "@datatrace/testkit";
import { expect, test } from "vitest";

import { openSqliteEventLog } from "./sqlite-event-log.ts";
import { sqliteHarness } from "./test-harness.ts";

const timeout = 60_000;

function record(topic: string, text: string): { topic: string; partition: number; key: Buffer; value: Buffer } {
  return { topic, partition: 0, key: Buffer.from("key"), value: Buffer.from(text) };
}

/** A child that has stopped itself in the middle of an append, with the log's lock in its hand. */
async function frozenChild(
  harness: Awaited<ReturnType<typeof sqliteHarness>>,
  topics: readonly string[],
): Promise<EventLogProcess> {
  const child = await EventLogProcess.start(harness, "log.mid_append=stop@1");
  await child.order({ do: "open_writer", writer: "child" });
  const records = topics.map((topic) => record(topic, "child"));
  child.begin({ do: "append", writer: "child", records });
  return child;
}

test(
  "I7: a process that is frozen in an append is reported by its pid, and the others go on when it wakes",
  { timeout },
  async () => {
    await using harness = await sqliteHarness();
    await using log = await openSqliteEventLog({ directory: harness.directory, lockedAfterMs: 300 });
    for (const name of ["a", "b"]) await log.ensureTopic({ name, partitions: 1, cleanup: "delete" });
    await log.registerGroup("group", ["a"]);
    await using writer = await log.openWriter("parent");
    await writer.append([record("a", "first")]);
    await using child = await frozenChild(harness, ["a", "b"]);
    const locked = (): Promise<unknown> =>
      writer.append([record("a", "parent")]).then(
        () => null,
        (error: unknown) => error,
      );
    const error = await waitFor(locked, { deadlineMs: 30_000, what: "the lock" });
    expect(error).toMatchObject({ code: "log.locked", detail: { file: "log.sqlite", pid: child.pid } });
    const { end } = await log.bounds({ topic: "a", partition: 0 });

    // What needs no write to the log goes on: reading, and groups, whose file is another one.
    await log.ensureTopic({ name: "a", partitions: 1, cleanup: "delete" });
    await using reader = await log.openReader("group", ["a"]);
    const signal = AbortSignal.timeout(10_000);
    expect(await reader.poll(signal)).toMatchObject([{ kind: "assigned" }]);
    reader.seek({ topic: "a", partition: 0 }, 0n);
    expect(await reader.poll(signal)).toMatchObject([{ kind: "batch", next: end }]);
    await reader.commit({ topic: "a", partition: 0 }, end);
    expect(await log.groupProgress("group")).toMatchObject([{ next: end, end }]);

    const abort = new AbortController();
    const waiting = writer.append([record("b", "given up")], abort.signal);
    setTimeout(() => abort.abort(new Error("enough")), 20);
    await expect(waiting).rejects.toThrow("enough");

    child.wake();
    await waitFor(async () => (await log.bounds({ topic: "b", partition: 0 })).end === 1n, {
      deadlineMs: 30_000,
      what: "the child's append",
    });
    const [range] = await writer.append([record("a", "parent")]);
    expect(range?.first).toBe(end + 1n);
    expect((await log.bounds({ topic: "b", partition: 0 })).end).toBe(1n);
  },
);

test("I7: a process that is killed in an append lets go of the lock at once", { timeout }, async () => {
  await using harness = await sqliteHarness();
  await using log = await openSqliteEventLog({ directory: harness.directory, lockedAfterMs: 300 });
  for (const name of ["a", "b"]) await log.ensureTopic({ name, partitions: 1, cleanup: "delete" });
  await using writer = await log.openWriter("parent");
  await using child = await frozenChild(harness, ["a", "b"]);
  const locked = (): Promise<boolean> =>
    writer.append([record("b", "parent")]).then(
      () => false,
      (error: unknown) => (error as { code?: string }).code === "log.locked",
    );
  await waitFor(locked, { deadlineMs: 30_000, what: "the lock" });
  const before = (await log.bounds({ topic: "b", partition: 0 })).end;
  await child.kill();
  const ranges = await writer.append([record("a", "parent"), record("b", "parent")]);
  expect(ranges.map((range) => range.first)).toEqual([0n, before]);
});

test("an append that waits for a busy process gets its turn", { timeout }, async () => {
  await using harness = await sqliteHarness();
  await using log = await harness.open();
  for (const name of ["a", "b", "own"]) await log.ensureTopic({ name, partitions: 2, cleanup: "delete" });
  await using child = await EventLogProcess.start(harness);
  child.begin({ do: "flood", writer: "child", topics: ["a", "b"], width: 500, first: 0 });
  await waitFor(() => child.lastRound > 2, { deadlineMs: 30_000, what: "the flood" });
  await using writer = await log.openWriter("parent");
  const before = child.lastRound;
  for (let round = 0; round < 50; round += 1) await writer.append([record("own", String(round))]);
  expect((await log.bounds({ topic: "own", partition: 0 })).end).toBe(50n);
  expect(child.lastRound).toBeGreaterThan(before);
});

test("clients and processes that open a new directory at the same time make one log", { timeout }, async () => {
  await using harness = await sqliteHarness();
  await using stack = new AsyncDisposableStack();
  const opening = Array.from({ length: 4 }, () => harness.open());
  const starting = Array.from({ length: 3 }, () => EventLogProcess.start(harness));
  for (const child of await Promise.all(starting)) stack.use(child);
  const logs = await Promise.all(opening);
  for (const log of logs) stack.use(log);
  const topic = { name: "orders", partitions: 2, cleanup: "delete" } as const;
  const made = await Promise.all(logs.map((log) => log.ensureTopic(topic)));
  expect(made).toEqual(logs.map(() => ({ ...topic, epoch: 1 })));
});
