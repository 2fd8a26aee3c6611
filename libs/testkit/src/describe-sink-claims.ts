import type { DataTraceError } from "@datatrace/core";
import { expect, test } from "vitest";
import { advanced, apply, claim, delivery, item, items, itemsSchema, never, prepare, unitOf } from "./sink-fixture.ts";
import type { SinkHarness } from "./sink-harness.ts";
import { SinkOwner } from "./sink-owner-process.ts";
import { waitFor } from "./wait-for.ts";

const deadlineMs = 20_000;

/** Who may apply: epochs, stale owners, owners that are frozen. */
export function describeSinkClaims(harness: SinkHarness): void {
  test("I2: a claim raises the epoch and answers the stored offset", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    expect(await claim(sink, "shop.items", 0, 7n)).toEqual({ topic: "shop.items", partition: 0, epoch: 1n, next: 7n });
    expect(await claim(sink, "shop.items", 0, 3n)).toEqual({ topic: "shop.items", partition: 0, epoch: 2n, next: 7n });
    expect(await claim(sink, "shop.items", 1, 3n)).toEqual({ topic: "shop.items", partition: 1, epoch: 1n, next: 3n });
    expect(await sink.progress(delivery, never)).toHaveLength(2);
    expect(await sink.progress("another", never)).toEqual([]);
  });

  test("I2: a unit of an earlier epoch is stale and changes nothing", async () => {
    await using bed = await harness.makeBed();
    await using first = harness.openSink(bed.target);
    await using second = harness.openSink(bed.target);
    await first.open(never);
    await prepare(first);
    await prepare(second);
    const old = await claim(first);
    const current = await claim(second);
    const before = await bed.helperRows();
    expect(await apply(first, unitOf(old, { upserts: [item(1, "zombie")] }))).toEqual({
      kind: "stale",
      partitions: [{ topic: "shop.items", partition: 0 }],
    });
    expect(await bed.helperRows()).toBe(before);
    expect(await bed.rows(items, itemsSchema)).toEqual([]);
    expect(await apply(second, unitOf(current, { upserts: [item(1, "heir")] }))).toMatchObject({ kind: "applied" });
    expect(await bed.rows(items, itemsSchema)).toEqual([item(1, "heir")]);
  });

  test("I2: a unit that begins at another offset than the stored one is stale", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await prepare(sink);
    const claimed = await claim(sink);
    const unit = unitOf(claimed, { upserts: [item(1, "once")] });
    expect(await apply(sink, unit)).toMatchObject({ kind: "applied" });
    expect(await apply(sink, unit)).toMatchObject({ kind: "stale" });
    const ahead = unitOf(advanced(claimed, 5n), { upserts: [item(2, "gap")] });
    expect(await apply(sink, ahead)).toMatchObject({ kind: "stale" });
    expect(await bed.rows(items, itemsSchema)).toEqual([item(1, "once")]);
  });

  test("I5: one stale partition rolls the whole unit back, and only it is named", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await prepare(sink);
    const good = await claim(sink, "shop.items", 0);
    const lost = await claim(sink, "shop.items", 1);
    await claim(sink, "shop.items", 1);
    const one = unitOf(good, { upserts: [item(1, "good")] });
    const other = unitOf(lost, { upserts: [item(2, "lost")] });
    const both = {
      ...one,
      partitions: [...other.partitions, ...one.partitions],
      tables: [...one.tables, ...other.tables],
    };
    expect(await apply(sink, both)).toEqual({ kind: "stale", partitions: [{ topic: "shop.items", partition: 1 }] });
    expect(await bed.rows(items, itemsSchema)).toEqual([]);
    expect(await apply(sink, one)).toMatchObject({ kind: "applied" });
  });

  test("I2: offsets of a topic that was made anew are refused, and kept", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await claim(sink);
    const before = await bed.helperRows();
    const anew = sink.claim(delivery, [{ topic: "shop.items", partition: 0, topicEpoch: 2, start: 0n }], never);
    await expect(anew).rejects.toMatchObject({ code: "log.topic_recreated" } satisfies Partial<DataTraceError>);
    expect(await bed.helperRows()).toBe(before);
  });

  for (const failpoint of ["sink.after_first_update", "sink.before_commit"]) {
    test(`I7: a claim does not wait for an owner frozen at ${failpoint}`, { timeout: 60_000 }, async () => {
      await using bed = await harness.makeBed();
      await using heir = harness.openSink(bed.target, { takeOverMs: 300, lockTimeoutMs: deadlineMs });
      await heir.open(never);
      await prepare(heir);
      await using owner = await SinkOwner.start(harness.module, bed.target, { [failpoint]: "stop" });
      await owner.frozen(deadlineMs);
      const taken = await claim(heir);
      expect(taken).toMatchObject({ epoch: 2n, next: 0n });
      expect(await apply(heir, unitOf(taken, { upserts: [item(1, "heir")] }))).toMatchObject({ kind: "applied" });
      owner.wake();
      // Its transaction is gone; trying again it finds that it is no longer the owner.
      expect(await owner.outcome(deadlineMs)).toBe("stale");
      expect(await bed.rows(items, itemsSchema)).toEqual([item(1, "heir")]);
    });
  }

  test("I7: the server frees what a frozen owner holds, where nobody may end it", { timeout: 60_000 }, async () => {
    await using bed = await harness.makeBed();
    await using heir = harness.openSink(bed.target, { takeOverMs: 3_600_000, lockTimeoutMs: deadlineMs });
    await heir.open(never);
    await prepare(heir);
    const limits = { idleTransactionTimeoutMs: 700 };
    await using owner = await SinkOwner.start(harness.module, bed.target, { "sink.before_commit": "stop" }, limits);
    await owner.frozen(deadlineMs);
    expect(await claim(heir)).toMatchObject({ epoch: 2n, next: 0n });
    expect(await bed.rows(items, itemsSchema)).toEqual([]);
  });

  for (const failpoint of ["sink.before_first_update", "sink.after_first_update", "sink.before_commit"]) {
    test(`I5: an owner killed at ${failpoint} leaves nothing behind`, { timeout: 60_000 }, async () => {
      await using bed = await harness.makeBed();
      await using heir = harness.openSink(bed.target);
      await heir.open(never);
      await prepare(heir);
      await using owner = await SinkOwner.start(harness.module, bed.target, { [failpoint]: "kill" });
      await owner.ended(deadlineMs);
      expect(await claim(heir)).toMatchObject({ epoch: 2n, next: 0n });
      expect(await bed.rows(items, itemsSchema)).toEqual([]);
    });
  }

  test("I5: an owner killed after its commit leaves rows and offset", { timeout: 60_000 }, async () => {
    await using bed = await harness.makeBed();
    await using heir = harness.openSink(bed.target);
    await heir.open(never);
    await prepare(heir);
    await using owner = await SinkOwner.start(harness.module, bed.target, { "sink.after_commit": "kill" });
    await owner.ended(deadlineMs);
    await waitFor(async () => (await heir.progress(delivery, never)).some(({ next }) => next === 1n), {
      deadlineMs,
      what: "the offset of the owner's unit",
    });
    expect(await bed.rows(items, itemsSchema)).toEqual([item(1, "owner")]);
  });
}
