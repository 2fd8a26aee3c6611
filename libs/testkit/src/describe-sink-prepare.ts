import type { TableSchema } from "@datatrace/core";
import { expect, test } from "vitest";
import {
  advanced,
  apply,
  claim,
  delivery,
  entry,
  item,
  items,
  itemsSchema,
  itemsSchema2,
  never,
  prepare,
  unitOf,
} from "./sink-fixture.ts";
import type { SinkHarness } from "./sink-harness.ts";

const columns = ["id bigint PRIMARY KEY", "name text", "quantity int", "note text"];

/** Target tables made, adopted and extended; helper tables made once; what `decommission` leaves. */
export function describeSinkPrepare(harness: SinkHarness): void {
  test("creates the table, and changes nothing the second time", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await prepare(sink);
    const taken = await claim(sink);
    await apply(sink, unitOf(taken, { upserts: [item(1, "kept")] }));
    const before = await bed.helperRows();
    await prepare(sink);
    await using another = harness.openSink(bed.target);
    await prepare(another);
    expect(await bed.rows(items, itemsSchema)).toEqual([item(1, "kept")]);
    expect(await bed.helperRows()).toBe(before);
  });

  test("adds a column, and an older version changes nothing", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await prepare(sink);
    const taken = await claim(sink);
    await apply(sink, unitOf(taken, { upserts: [item(1, "old")] }));
    await prepare(sink, itemsSchema2);
    const newer = { schema: itemsSchema2, upserts: [[...item(2, "new"), "red"]] };
    expect(await apply(sink, unitOf(advanced(taken), newer))).toMatchObject({ kind: "applied" });
    await prepare(sink, itemsSchema);
    const older = unitOf(advanced(taken, 2n), { upserts: [item(2, "old version")] });
    expect(await apply(sink, older)).toMatchObject({ kind: "applied" });
    expect(await bed.rows(items, itemsSchema2)).toEqual([
      [...item(1, "old"), null],
      [...item(2, "old version"), "red"],
    ]);
  });

  test("I7: several members that start together make everything once", { timeout: 60_000 }, async () => {
    await using bed = await harness.makeBed();
    const sinks = Array.from({ length: 4 }, () => harness.openSink(bed.target));
    try {
      await Promise.all(sinks.map(async (sink) => sink.open(never)));
      await Promise.all(sinks.map(async (sink) => prepare(sink)));
      await Promise.all(sinks.map(async (sink) => prepare(sink, itemsSchema2)));
      const claims = await Promise.all(sinks.map(async (sink, partition) => claim(sink, "shop.items", partition)));
      const outcomes = await Promise.all(
        claims.map(async (taken, member) => {
          const sink = sinks[member];
          const row = [...item(member, "member"), "blue"];
          return sink === undefined ? null : apply(sink, unitOf(taken, { schema: itemsSchema2, upserts: [row] }));
        }),
      );
      expect(outcomes.map((outcome) => outcome?.kind)).toEqual(["applied", "applied", "applied", "applied"]);
      expect(await bed.rows(items, itemsSchema2)).toHaveLength(4);
    } finally {
      await Promise.all(sinks.map(async (sink) => sink[Symbol.asyncDispose]()));
    }
  });

  test("I2: several members that claim the same partition all get different epochs", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    const claims = await Promise.all(Array.from({ length: 8 }, async () => claim(sink)));
    expect(claims.map(({ epoch }) => epoch).toSorted((a, b) => Number(a - b))).toEqual([
      1n,
      2n,
      3n,
      4n,
      5n,
      6n,
      7n,
      8n,
    ]);
  });

  test("strategy fail refuses a table that exists, and leaves it alone", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await bed.createTable(items, columns);
    await expect(prepare(sink, itemsSchema2)).rejects.toMatchObject({ code: "sink.table_exists" });
    expect(await bed.rows(items, itemsSchema)).toEqual([]);
    expect(
      await sink.inspect(delivery, [{ target: items, schema: itemsSchema, strategy: "fail" }], never),
    ).toMatchObject([{ severity: "error", code: "sink.table_exists", table: "shop.items" }]);
  });

  test("strategy append adopts it, once; then it counts as its own", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await bed.createTable(items, [...columns, "theirs int DEFAULT 5"]);
    await prepare(sink, itemsSchema, items, "append");
    await prepare(sink, itemsSchema, items, "fail");
    const taken = await claim(sink);
    expect(await apply(sink, unitOf(taken, { upserts: [item(1, "one")] }))).toMatchObject({ kind: "applied" });
    expect(await bed.rows(items, itemsSchema)).toEqual([item(1, "one")]);
    expect(await sink.inspect(delivery, [{ target: items, schema: itemsSchema, strategy: "fail" }], never)).toEqual([]);
  });

  const unfit: readonly (readonly [string, readonly string[], string])[] = [
    ["a narrower column", ["id bigint PRIMARY KEY", "name varchar(10)", "quantity int", "note text"], "name"],
    ["a column of another type", ["id bigint PRIMARY KEY", "name text", "quantity smallint", "note text"], "quantity"],
    ["a narrower key", ["id int PRIMARY KEY", "name text", "quantity int", "note text"], "id"],
    ["a column that must have a value", [...columns, "theirs int NOT NULL"], "theirs"],
  ];
  test.each(unfit)("I6: strategy append refuses %s, naming it", async (_, definition, column) => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await bed.createTable(items, definition);
    const before = await bed.helperRows();
    const conflict = { code: "sink.schema_conflict", detail: { table: "shop.items", column } };
    await expect(prepare(sink, itemsSchema, items, "append")).rejects.toMatchObject(conflict);
    expect(await bed.helperRows()).toBe(before);
    const found = await sink.inspect(delivery, [{ target: items, schema: itemsSchema, strategy: "append" }], never);
    expect(found).toMatchObject([{ severity: "error", code: "sink.schema_conflict" }]);
    expect(found[0]?.message).toContain(column);
  });

  const unkeyed: readonly (readonly [string, readonly string[]])[] = [
    ["no key", ["id bigint", "name text", "quantity int", "note text"]],
    ["a wider key", ["id bigint", "name text", "quantity int", "note text", "PRIMARY KEY (id, name)"]],
    ["another key", ["id bigint", "name text PRIMARY KEY", "quantity int", "note text"]],
  ];
  test.each(unkeyed)("I4: strategy append refuses a table with %s", async (_, definition) => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await bed.createTable(items, definition);
    await expect(prepare(sink, itemsSchema, items, "append")).rejects.toMatchObject({ code: "sink.schema_conflict" });
  });

  test("a table that was there and is gone is not made again without a word", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await prepare(sink);
    await bed.dropTable(items);
    await expect(prepare(sink)).rejects.toMatchObject({ code: "sink.table_missing" });
    await using another = harness.openSink(bed.target);
    await expect(prepare(another)).rejects.toMatchObject({ code: "sink.table_missing" });
  });

  test("inspect finds nothing wrong with an empty target, and changes nothing", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    expect(await sink.inspect(delivery, [{ target: items, schema: itemsSchema, strategy: "fail" }], never)).toEqual([]);
    expect(await bed.helperTables()).toEqual([]);
    expect(await sink.progress(delivery, never)).toEqual([]);
    expect(await sink.parkedKeys(delivery, [{ topic: "shop.items", partition: 0 }], never)).toEqual([]);
    expect(await sink.openRereads(delivery, never)).toEqual([]);
  });

  test("helper tables survive, and go with the last delivery; target tables stay", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await prepare(sink);
    const taken = await claim(sink);
    await apply(sink, unitOf(taken, { upserts: [item(1, "stays")], quarantine: [entry(taken, "9")] }));
    await sink.claim("another", [{ topic: "t", partition: 0, topicEpoch: 1, start: 0n }], never);
    await sink.open(never);
    const before = await bed.helperRows();

    const told = await sink.decommission(delivery, false, never);
    expect(told.join("\n")).toContain(delivery);
    expect(await bed.helperRows()).toBe(before);

    expect(await sink.decommission(delivery, true, never)).toEqual(told);
    expect(await sink.progress(delivery, never)).toEqual([]);
    expect(await sink.parkedKeys(delivery, [taken], never)).toEqual([]);
    expect(await sink.progress("another", never)).toHaveLength(1);
    // What another delivery still uses is none of this one's: there is nothing left to be removed.
    expect(await sink.decommission(delivery, false, never)).toEqual([]);

    await sink.decommission("another", true, never);
    expect(await bed.helperTables()).toEqual([]);
    expect(await bed.rows(items, itemsSchema)).toEqual([item(1, "stays")]);
    expect(await sink.decommission(delivery, true, never)).toEqual([]);

    await sink.open(never);
    expect(await claim(sink)).toMatchObject({ epoch: 1n, next: 0n });
  });

  test("a table without rows to write can still be made from a schema with every column in its key", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    const schema: TableSchema = { ...itemsSchema, columns: itemsSchema.columns.slice(0, 2), key: [0, 1] };
    await prepare(sink, schema);
    expect(await bed.rows(items, schema)).toEqual([]);
  });
}
