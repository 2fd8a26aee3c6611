import { DataTraceError, SourceText } from "@datatrace/core";
import type { ApplyOutcome, Row, Rows } from "@datatrace/core";
import { expect, test } from "vitest";
import { advanced, apply, claim, delivery, item, items, itemsSchema, never, prepare, unitOf } from "./sink-fixture.ts";
import type { SinkHarness } from "./sink-harness.ts";

/** Stands for a person's data: must be in no message. */
const planted = "planted-secret-7731";

function rejection(outcome: ApplyOutcome): { scope: string; error: DataTraceError } {
  if (outcome.kind !== "rejected") throw new Error(`not rejected but ${outcome.kind}`);
  return outcome;
}

/** Everything that an error says when it is printed in any way. */
function printed(error: DataTraceError): string {
  const cause: unknown = error.cause;
  return [
    error.message,
    error.stack,
    error.fix,
    JSON.stringify(error.detail),
    String(cause),
    JSON.stringify(cause),
  ].join();
}

function damaged(): never {
  throw new DataTraceError("log.corrupt", { detail: { topic: "shop.items", partition: 0, offset: "1" } });
}

/** Rows of a log, the last of which is damaged: each look makes them anew. */
function damagedAfter(rows: readonly Row[]): Rows {
  return {
    length: rows.length + 1,
    slice: (start, end) => (end > rows.length ? damaged() : rows.slice(start, end)),
    *[Symbol.iterator]() {
      yield* rows;
      damaged();
    },
  };
}

/** What a refusal is, by who can do something about it, and that it tells no values. */
export function describeSinkRefusals(harness: SinkHarness): void {
  test("I6, I8: a row that a constraint forbids is refused as a row, all of the unit rolled back", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await prepare(sink);
    await bed.addCheck(items, "quantity");
    const taken = await claim(sink);
    const unit = unitOf(taken, { upserts: [item(1, "good"), item(2, planted, -7731), item(3, "good")] });
    const { scope, error } = rejection(await apply(sink, unit));
    expect(scope).toBe("row");
    expect(error.code).toBe("sink.row_rejected");
    expect(error.detail).toHaveProperty("constraint");
    expect(error.detail).toHaveProperty("table");
    expect(printed(error)).not.toMatch(/planted|7731/);
    expect(await bed.rows(items, itemsSchema)).toEqual([]);
    expect(await sink.progress(delivery, never)).toEqual([{ topic: "shop.items", partition: 0, next: 0n }]);
  });

  test("I3: a row of the log that cannot be read ends its unit with nothing applied, and the sink goes on", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await prepare(sink);
    const taken = await claim(sink);
    const many = Array.from({ length: 600 }, (_, id) => item(id, "good"));
    await expect(apply(sink, unitOf(taken, { upserts: damagedAfter(many) }))).rejects.toMatchObject({
      code: "log.corrupt",
      detail: { offset: "1" },
    });
    expect(await apply(sink, unitOf(taken, { upserts: many }))).toMatchObject({ kind: "applied" });
    expect(await bed.rows(items, itemsSchema)).toHaveLength(600);
  });

  test("I8: a value that the type cannot read is refused as a row, without the value", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await prepare(sink);
    const taken = await claim(sink);
    const row = [1, "name", new SourceText(planted), null];
    const { scope, error } = rejection(await apply(sink, unitOf(taken, { upserts: [row] })));
    expect(scope).toBe("row");
    expect(printed(error)).not.toContain(planted);
  });

  test("I8: a second unique constraint is a matter of order, without the value", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await prepare(sink);
    await bed.addUnique(items, "name");
    const taken = await claim(sink);
    const first = unitOf(taken, { upserts: [item(1, planted)] });
    expect(await apply(sink, first)).toMatchObject({ kind: "applied" });
    const second = unitOf(advanced(taken), { upserts: [item(2, planted)] });
    const { scope, error } = rejection(await apply(sink, second));
    expect(scope).toBe("order");
    expect(error.detail).toHaveProperty("constraint");
    expect(printed(error)).not.toContain(planted);
    expect(await bed.rows(items, itemsSchema)).toEqual([item(1, planted)]);
  });

  test("a table that is gone is refused as a target", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await prepare(sink);
    await bed.dropTable(items);
    const taken = await claim(sink);
    const { scope, error } = rejection(await apply(sink, unitOf(taken, { upserts: [item(1, planted)] })));
    expect(scope).toBe("target");
    expect(error.code).toBe("sink.table_missing");
    expect(printed(error)).not.toContain(planted);
  });

  test("I2: a stale owner learns that it is stale, not that its row is bad", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await prepare(sink);
    await bed.addCheck(items, "quantity");
    const old = await claim(sink);
    await claim(sink);
    expect(await apply(sink, unitOf(old, { upserts: [item(1, "bad", -1)] }))).toMatchObject({ kind: "stale" });
  });
}
