import { DataTraceError } from "@datatrace/core";
import type { CaptureSource, Position, SourceBatch } from "@datatrace/core";
import { expect, test } from "vitest";
import type { CaptureHarness } from "./capture-harness.ts";
import {
  CaptureReader,
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

/** Changes without transactions around them: batches may end anywhere. */
function changes(batches: readonly SourceBatch[]): readonly string[] {
  return transactionsOf(eventsOf(batches))
    .flat()
    .filter((line) => line !== "…" && !line.startsWith("watermark"));
}

function isCommit({ events }: SourceBatch): boolean {
  return events.some((event) => event.kind === "commit");
}

async function acknowledged(source: CaptureSource, position: Position): Promise<Position | null> {
  source.acknowledge(position);
  return await waitFor(
    async () => {
      const { acknowledged: now } = await source.stream(signal());
      return now === position && now;
    },
    { deadlineMs: captureDeadlineMs, what: "the acknowledgement to arrive" },
  );
}

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
      expect(changes(batches)).toEqual(expected);
      const positions = [start, ...batches.map((batch) => batch.position)];
      // A position for every raw change, so that the loop below stops at each.
      expect(new Set(positions).size).toBeGreaterThanOrEqual(expected.length);
      let delivered = 0;
      for (const [index, from] of positions.slice(0, -1).entries()) {
        await using source = bed.openSource();
        await using reader = new CaptureReader(source, from);
        const rest = changes(await reader.untilWatermark("end"));
        expect(rest).toEqual(expected.slice(delivered));
        delivered += (batches[index]?.events ?? []).filter((event) => isRowChange(event)).length;
      }
    },
  );

  test("I1: what was not acknowledged comes again to the next reader", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run(items);
    const expected = [["items + 1|one"], ["items + 2|two"], ["watermark end"]];
    let from: Position;
    {
      await using source = bed.openSource();
      const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
      from = position;
      await user.run("INSERT INTO items VALUES (1, 'one')");
      await user.run("INSERT INTO items VALUES (2, 'two')");
      await source.writeWatermark("end", signal());
      await using reader = new CaptureReader(source, position, schemas);
      expect(transactionsOf(eventsOf(await reader.untilWatermark("end")))).toEqual(expected);
    }
    await using source = bed.openSource();
    expect((await source.stream(signal())).acknowledged).toBe(from);
    await using reader = new CaptureReader(source, from);
    expect(transactionsOf(eventsOf(await reader.untilWatermark("end")))).toEqual(expected);
  });

  test("I1: the stream is acknowledged exactly as far as the stored position", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run(items);
    await using source = bed.openSource({ tuning: { maxEvents: 2 } });
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    await using reader = new CaptureReader(source, position, schemas);
    for (let id = 1; id <= 4; id += 1) {
      await user.run(`INSERT INTO items VALUES (${id}, 'x')`);
      const batches = await reader.until(({ events }) => events.some((event) => event.kind === "commit"));
      const stored = batches.at(-1)?.position ?? position;
      expect(await acknowledged(source, stored)).toBe(stored);
    }
  });

  test("I2: an acknowledgement never moves back", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run(items);
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    await using reader = new CaptureReader(source, position, schemas);
    await user.run("INSERT INTO items VALUES (1, 'x')");
    const first = (await reader.until(isCommit)).at(-1)?.position ?? position;
    await user.run("INSERT INTO items VALUES (2, 'x')");
    const second = (await reader.until(isCommit)).at(-1)?.position ?? position;
    source.acknowledge(second);
    source.acknowledge(first);
    expect(await acknowledged(source, second)).toBe(second);
    source.acknowledge(first);
    await user.run("INSERT INTO items VALUES (3, 'x')");
    const third = (await reader.until(isCommit)).at(-1)?.position ?? position;
    expect((await source.stream(signal())).acknowledged).toBe(second);
    expect([source.reached(second, first), source.reached(first, second), source.reached(third, second)]).toEqual([
      true,
      false,
      true,
    ]);
  });

  test("I3: an acknowledged transaction does not take along one that was interleaved with it", async () => {
    await using bed = await harness.makeBed();
    await using first = await bed.connect();
    await using second = await bed.connect();
    await first.run(items);
    let stored: Position;
    {
      await using source = bed.openSource({ tuning: { maxEvents: 1 } });
      const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
      await first.run("BEGIN");
      await first.run("INSERT INTO items VALUES (1, 'first')");
      await second.run("BEGIN");
      await second.run("INSERT INTO items VALUES (2, 'second')");
      await first.run("COMMIT");
      await second.run("COMMIT");
      await using reader = new CaptureReader(source, position, schemas);
      // The smallest batches, so that the first transaction ends with a position of its own.
      const read = await reader.until(({ events }) => events.some((event) => event.kind === "commit"));
      expect(transactionsOf(eventsOf(read))).toEqual([["items + 1|first"]]);
      stored = read.at(-1)?.position ?? position;
      expect(await acknowledged(source, stored)).toBe(stored);
    }
    await using source = bed.openSource();
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, stored);
    expect(transactionsOf(eventsOf(await reader.untilWatermark("end")))).toEqual([
      ["items + 2|second"],
      ["watermark end"],
    ]);
  });

  test("I1: a reader that keeps its connection open for long acknowledges nothing by itself", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run(items);
    await using source = bed.openSource({ tuning: { heartbeatMs: 100 } });
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    await using reader = new CaptureReader(source, position, schemas);
    await user.run("INSERT INTO items VALUES (1, 'x')");
    await reader.until(({ events }) => events.length > 0);
    // Heartbeats are given out, and the server is answered, many times over.
    for (let beat = 0; beat < 5; beat += 1) {
      await user.run("CREATE TABLE elsewhere (id integer)");
      await user.run("DROP TABLE elsewhere");
      await reader.next();
    }
    expect((await source.stream(signal())).acknowledged).toBe(position);
  });

  test("an idle stream moves on while other tables are written, and its position may be acknowledged", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run(items);
    await user.run("CREATE TABLE others (id integer PRIMARY KEY)");
    await using source = bed.openSource({ tuning: { heartbeatMs: 100 } });
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    await using reader = new CaptureReader(source, position, schemas);
    for (let id = 1; id <= 50; id += 1) await user.run(`INSERT INTO others VALUES (${id})`);
    const target = await source.head(signal());
    const batches = await reader.until((batch) => source.reached(batch.position, target));
    expect(eventsOf(batches)).toEqual([]);
    const last = batches.at(-1)?.position ?? position;
    expect(await acknowledged(source, last)).toBe(last);
    expect(source.distanceBytes(position, last)).toBeGreaterThan(0);
    expect(source.distanceBytes(last, position)).toBe(0);
    // And it is a place to go on from.
    await user.run("INSERT INTO items VALUES (9, 'after')");
    const after = await reader.until(({ events }) => events.length > 0);
    expect(transactionsOf(eventsOf(after))).toEqual([["items + 9|after"]]);
  });

  test("asking for the head brings an idle stream there without waiting for its heartbeat", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run(items);
    await using source = bed.openSource({ tuning: { heartbeatMs: 3_600_000 } });
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    await using reader = new CaptureReader(source, position, schemas);
    await user.run("CREATE TABLE elsewhere (id integer)");
    const next = reader.next();
    const target = await source.head(signal());
    expect(source.reached((await next).position, target)).toBe(true);
  });

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
