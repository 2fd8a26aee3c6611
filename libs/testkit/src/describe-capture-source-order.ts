import { expect, test } from "vitest";
import type { CaptureHarness } from "./capture-harness.ts";
import { CaptureReader, captureDeadlineMs, eventsOf, startCapture, transactionsOf } from "./capture-reader.ts";
import { CaptureWorkload, createWorkloadTables, workloadTables } from "./capture-workload.ts";

const signal = (): AbortSignal => AbortSignal.timeout(captureDeadlineMs);

/** What is committed comes, in commit order, each once, and nothing else does. */
export function describeCaptureSourceOrder(harness: CaptureHarness): void {
  test.each([1, 2, 3])(
    "I3: random interleaved transactions come whole, once, in commit order (seed %i)",
    { timeout: 2 * captureDeadlineMs },
    async (seed) => {
      await using bed = await harness.makeBed();
      await using user = await bed.connect();
      await createWorkloadTables(user);
      await using source = bed.openSource({ tuning: { maxEvents: 50 } });
      const { position, schemas } = await startCapture(
        source,
        workloadTables.map((table) => bed.nameOf(table)),
      );
      await using workload = await CaptureWorkload.start(bed, seed);
      await using reader = new CaptureReader(source, position, schemas);
      const read = reader.untilWatermark("end");
      await workload.run(600);
      await workload.settle();
      await source.writeWatermark("end", signal());
      const seen = transactionsOf(eventsOf(await read));
      expect(seen.slice(0, -1)).toEqual(workload.ledger);
      expect(workload.ledger.length).toBeGreaterThan(20);
    },
  );

  test("a transaction comes when it commits, not when it begins", async () => {
    await using bed = await harness.makeBed();
    await using first = await bed.connect();
    await using second = await bed.connect();
    await first.run("CREATE TABLE items (id integer PRIMARY KEY, name varchar(100))");
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    await first.run("BEGIN");
    await first.run("INSERT INTO items VALUES (1, 'began first')");
    await second.run("INSERT INTO items VALUES (2, 'committed first')");
    await first.run("INSERT INTO items VALUES (3, 'began first')");
    await first.run("COMMIT");
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position, schemas);
    expect(transactionsOf(eventsOf(await reader.untilWatermark("end")))).toEqual([
      ["items + 2|committed first"],
      ["items + 1|began first", "items + 3|began first"],
      ["watermark end"],
    ]);
  });

  test("what was rolled back, whole or to a savepoint, never comes", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY, name varchar(100))");
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    for (const sql of [
      "BEGIN",
      "INSERT INTO items VALUES (1, 'gone')",
      "ROLLBACK",
      "BEGIN",
      "INSERT INTO items VALUES (2, 'kept')",
      "SAVEPOINT s",
      "INSERT INTO items VALUES (3, 'gone')",
      "ROLLBACK TO SAVEPOINT s",
      "INSERT INTO items VALUES (3, 'kept')",
      "COMMIT",
    ]) {
      await user.run(sql);
    }
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position, schemas);
    expect(transactionsOf(eventsOf(await reader.untilWatermark("end")))).toEqual([
      ["items + 2|kept", "items + 3|kept"],
      ["watermark end"],
    ]);
  });

  test("a large transaction comes in batches of bounded size, complete and in order", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY, name varchar(100))");
    await using source = bed.openSource({ tuning: { maxEvents: 100 } });
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    await user.run("BEGIN");
    const count = 1_000;
    for (let id = 1; id <= count; id += 1) await user.run(`INSERT INTO items VALUES (${id}, 'row ${id}')`);
    await user.run("COMMIT");
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position, schemas);
    const batches = await reader.untilWatermark("end");
    // Begin and commit beside the changes.
    expect(Math.max(...batches.map((batch) => batch.events.length))).toBeLessThanOrEqual(102);
    const [large = []] = transactionsOf(eventsOf(batches));
    expect(large).toEqual(Array.from({ length: count }, (_, index) => `items + ${index + 1}|row ${index + 1}`));
  });

  test("only tables that are published come, and a transaction without any of them leaves no trace", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await user.run("CREATE TABLE others (id integer PRIMARY KEY)");
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    await user.run("INSERT INTO others VALUES (1)");
    await user.run("BEGIN");
    await user.run("INSERT INTO others VALUES (2)");
    await user.run("INSERT INTO items VALUES (2)");
    await user.run("COMMIT");
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position, schemas);
    expect(transactionsOf(eventsOf(await reader.untilWatermark("end")))).toEqual([["items + 2"], ["watermark end"]]);
  });

  test("watermarks of another capture of the same database do not come", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await using source = bed.openSource({ capture: "one" });
    await using other = bed.openSource({ capture: "other" });
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    await other.writeWatermark("foreign", signal());
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position, schemas);
    expect(transactionsOf(eventsOf(await reader.untilWatermark("end")))).toEqual([["watermark end"]]);
  });
}
