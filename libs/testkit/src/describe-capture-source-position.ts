import { DataTraceError } from "@datatrace/core";
import type { Position, SourceBatch } from "@datatrace/core";
import { expect, test } from "vitest";
import type { CaptureHarness } from "./capture-harness.ts";
import {
  CaptureReader,
  acknowledged,
  isCommit,
  changeLines,
  captureDeadlineMs,
  eventsOf,
  isRowChange,
  rowText,
  startCapture,
  transactionsOf,
} from "./capture-reader.ts";
import { CaptureWorkload, createWorkloadTables, workloadTables } from "./capture-workload.ts";
import { waitFor } from "./wait-for.ts";

const signal = (): AbortSignal => AbortSignal.timeout(captureDeadlineMs);
const items = "CREATE TABLE items (id integer PRIMARY KEY, name varchar(100))";

/** Where a stream goes on, what may be forgotten, and what is never. */
export function describeCaptureSourcePosition(harness: CaptureHarness): void {
  test(
    "I3: a stream goes on after every position that it has given, inside transactions too",
    { timeout: 120_000 },
    async () => {
      await using bed = await harness.makeBed();
      await using user = await bed.connect();
      await createWorkloadTables(user);
      const names = workloadTables.map((table) => bed.nameOf(table));
      let start: Position;
      let batches: readonly SourceBatch[];
      const expected: string[] = [];
      {
        await using source = bed.openSource({ tuning: { maxEvents: 1 } });
        const { position, schemas } = await startCapture(source, names);
        start = position;
        await using workload = await CaptureWorkload.start(bed, 7);
        await workload.run(180);
        await workload.settle();
        expected.push(...workload.ledger.flat());
        await source.writeWatermark("end", signal());
        await using reader = new CaptureReader(source, position, schemas);
        batches = await reader.untilWatermark("end");
      }
      expect(changeLines(batches)).toEqual(expected);
      const positions = [start, ...batches.map((batch) => batch.position)];
      // A position for every raw change, so that the loop below stops at each.
      expect(new Set(positions).size).toBeGreaterThanOrEqual(expected.length);
      let delivered = 0;
      for (const [index, from] of positions.slice(0, -1).entries()) {
        await using source = bed.openSource();
        await using reader = new CaptureReader(source, from);
        const rest = changeLines(await reader.untilWatermark("end"));
        expect(rest).toEqual(expected.slice(delivered));
        delivered += (batches[index]?.events ?? []).filter((event) => isRowChange(event)).length;
      }
    },
  );

  test("I7: a connection that is cut is a `source.connection_lost`, and the stream goes on from its position", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run(items);
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    let stored: Position;
    {
      await using reader = new CaptureReader(source, position, schemas);
      await user.run("INSERT INTO items VALUES (1, 'before')");
      stored = (await reader.until(({ events }) => events.length > 0)).at(-1)?.position ?? position;
      const next = reader.next().catch((reason: unknown) => reason);
      await bed.cutConnections();
      const error = await next;
      expect(error).toBeInstanceOf(DataTraceError);
      expect(error).toMatchObject({ code: "source.connection_lost", retry: "timed" });
    }
    await user.run("INSERT INTO items VALUES (2, 'after')");
    await using reader = new CaptureReader(source, stored, schemas);
    expect(transactionsOf(eventsOf(await reader.until(({ events }) => events.length > 0)))).toEqual([
      ["items + 2|after"],
    ]);
  });

  test("I7: a new reader of the same capture ends the one that still reads", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run(items);
    await using old = bed.openSource();
    const { position, schemas } = await startCapture(old, [bed.nameOf("items")]);
    await using stale = new CaptureReader(old, position, schemas);
    const waiting = stale.next().catch((reason: unknown) => reason);
    await waitFor(async () => (await old.stream(signal())).exists, {
      deadlineMs: captureDeadlineMs,
      what: "the stream",
    });
    await using source = bed.openSource();
    await using reader = new CaptureReader(source, position, schemas);
    const seen = reader.until(({ events }) => events.length > 0);
    expect(await waiting).toMatchObject({ code: "source.connection_lost" });
    await user.run("INSERT INTO items VALUES (1, 'x')");
    expect(transactionsOf(eventsOf(await seen))).toEqual([["items + 1|x"]]);
  });

  test("a stream that is gone is a `source.history_lost`, never a gap", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run(items);
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    await user.run("INSERT INTO items VALUES (1, 'x')");
    await source.dropStream(signal());
    expect(await source.stream(signal())).toMatchObject({ exists: false, acknowledged: null });
    await using gone = new CaptureReader(source, position, schemas);
    expect(await gone.next().catch((reason: unknown) => reason)).toMatchObject({ code: "source.history_lost" });
    // A stream made anew begins later: the stored position lies before it.
    await source.createStream(signal());
    await using reader = new CaptureReader(source, position, schemas);
    expect(await reader.next().catch((reason: unknown) => reason)).toMatchObject({ code: "source.history_lost" });
  });

  test("I2: a stream that was acknowledged beyond the stored position is a `source.history_lost`", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run(items);
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    {
      await using reader = new CaptureReader(source, position, schemas);
      await user.run("INSERT INTO items VALUES (1, 'x')");
      const last = (await reader.until(({ events }) => events.length > 0)).at(-1)?.position ?? position;
      expect(await acknowledged(source, last)).toBe(last);
    }
    await using reader = new CaptureReader(source, position, schemas);
    expect(await reader.next().catch((reason: unknown) => reason)).toMatchObject({ code: "source.history_lost" });
  });

  test("a stream that is there already is not made twice", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run(items);
    await using source = bed.openSource();
    await startCapture(source, [bed.nameOf("items")]);
    expect(await source.createStream(signal()).catch((reason: unknown) => reason)).toMatchObject({
      code: "source.position_missing",
    });
  });

  test("I3: the end of a transaction comes, though all of its changes were delivered before", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run(items);
    let last: Position;
    let txId: bigint | null = null;
    {
      await using source = bed.openSource({ tuning: { maxEvents: 1 } });
      const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
      await user.run("INSERT INTO items VALUES (1, 'x'), (2, 'y')");
      await source.writeWatermark("end", signal());
      await using reader = new CaptureReader(source, position, schemas);
      const batches = await reader.until(isCommit);
      last = batches.at(-2)?.position ?? position;
      txId = eventsOf(batches).flatMap((event) => (event.kind === "commit" ? [event.txId] : []))[0] ?? null;
      expect(changeLines(batches.slice(0, -1))).toEqual(["items + 1|x", "items + 2|y"]);
    }
    await using source = bed.openSource();
    await using reader = new CaptureReader(source, last);
    const [begin, commit] = eventsOf(await reader.untilWatermark("end"));
    // Whoever keeps the transactions that were delivered must hear of it.
    expect(begin).toMatchObject({ kind: "begin", txId });
    expect(commit).toEqual({ kind: "commit", txId });
  });

  test("a position of an open transaction carries its changes only once", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run(items);
    let middle: SourceBatch;
    {
      await using source = bed.openSource({ tuning: { maxEvents: 3 } });
      const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
      await user.run("BEGIN");
      for (let id = 1; id <= 9; id += 1) await user.run(`INSERT INTO items VALUES (${id}, 'x')`);
      await user.run("COMMIT");
      await source.writeWatermark("end", signal());
      await using reader = new CaptureReader(source, position, schemas);
      middle = await reader.next();
      source.acknowledge(middle.position);
    }
    const before = middle.events
      .filter((event) => isRowChange(event))
      .map((event) => rowText(event.kind === "insert" ? event.after : []));
    await using source = bed.openSource();
    await using reader = new CaptureReader(source, middle.position);
    const rest = transactionsOf(eventsOf(await reader.untilWatermark("end")))[0] ?? [];
    const all = [...before.map((row) => `items + ${row}`), ...rest];
    expect(all).toEqual(Array.from({ length: 9 }, (_, index) => `items + ${index + 1}|x`));
    expect(before.length).toBeLessThan(9);
  });
}
