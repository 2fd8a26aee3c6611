import type { Position } from "@datatrace/core";
import { expect, test } from "vitest";
import type { CaptureHarness } from "./capture-harness.ts";
import {
  CaptureReader,
  acknowledged,
  isCommit,
  captureDeadlineMs,
  eventsOf,
  startCapture,
  transactionsOf,
} from "./capture-reader.ts";

const signal = (): AbortSignal => AbortSignal.timeout(captureDeadlineMs);
const items = "CREATE TABLE items (id integer PRIMARY KEY, name varchar(100))";

/** What the source may forget, and what it is never told to. */
export function describeCaptureSourceAcknowledge(harness: CaptureHarness): void {
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
}
