import type { SourceEvent, TableSchema } from "@datatrace/core";
import { expect, test } from "vitest";
import type { CaptureHarness } from "./capture-harness.ts";
import { CaptureReader, captureDeadlineMs, eventsOf, isRowChange, rowText, startCapture } from "./capture-reader.ts";

const signal = (): AbortSignal => AbortSignal.timeout(captureDeadlineMs);

function isLoss(event: SourceEvent): boolean {
  return event.kind === "table-lost";
}

/** Tables that change their shape while they are followed. */
export function describeCaptureSourceShapes(harness: CaptureHarness): void {
  test("the same version of a table is the same object, wherever it comes from", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY, name varchar(100))");
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    // As after a restart: the runtime brings objects of its own.
    const known = JSON.parse(JSON.stringify(schemas)) as TableSchema[];
    await user.run("INSERT INTO items VALUES (1, 'x')");
    await using reader = new CaptureReader(source, position, known);
    const changes = eventsOf(await reader.until(({ events }) => events.length > 0)).filter((event) =>
      isRowChange(event),
    );
    expect(changes.map((change) => change.schema)).toEqual([known[0]]);
    expect(changes[0]?.schema).toBe(known[0]);
    const [again] = await source.describeTables([bed.nameOf("items")], signal());
    expect(again?.schema).toBe(known[0]);
    const chunk = await source.readChunk(known[0] as TableSchema, { after: null, upTo: null }, null, signal());
    expect(chunk.schema).toBe(known[0]);
  });

  test.each(["integer", "integer DEFAULT 7", "integer NOT NULL DEFAULT 7", "double precision DEFAULT random()"])(
    "ADD COLUMN %s is a new version from its place in the stream on",
    async (type) => {
      await using bed = await harness.makeBed();
      await using user = await bed.connect();
      await user.run("CREATE TABLE items (id integer PRIMARY KEY, name varchar(100))");
      await using source = bed.openSource();
      const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
      await user.run("INSERT INTO items VALUES (1, 'before')");
      await user.run(`ALTER TABLE items ADD COLUMN added ${type}`);
      await user.run("INSERT INTO items (id, name) VALUES (2, 'after')");
      await user.run("UPDATE items SET name = 'changed' WHERE id = 1");
      await source.writeWatermark("end", signal());
      // The catalog is asked first: it knows more than the stream has shown yet.
      const [today] = await source.describeTables([bed.nameOf("items")], signal());
      await using reader = new CaptureReader(source, position, schemas);
      const events = eventsOf(await reader.untilWatermark("end"));
      expect(events.filter((event) => event.kind === "table-lost")).toEqual([]);
      const changes = events.filter((event) => isRowChange(event));
      const columns = changes.map((change) => change.schema.columns.map((column) => column.name).join());
      expect(columns).toEqual(["id,name", "id,name,added", "id,name,added"]);
      expect(changes[0]?.schema).toBe(schemas[0]);
      expect(changes[1]?.schema).toBe(changes[2]?.schema);
      expect(changes[1]?.schema).toBe(today?.schema);
    },
  );

  test("a version of long ago is known again when its rows come late", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await using source = bed.openSource();
    const { position } = await startCapture(source, [bed.nameOf("items")]);
    await user.run("INSERT INTO items VALUES (1)");
    await user.run("ALTER TABLE items ADD COLUMN one integer");
    await user.run("INSERT INTO items VALUES (2, 2)");
    await user.run("ALTER TABLE items ADD COLUMN two integer");
    await user.run("INSERT INTO items VALUES (3, 3, 3)");
    await source.writeWatermark("end", signal());
    // All that the runtime has is the newest version.
    const described = await source.describeTables([bed.nameOf("items")], signal());
    await using reader = new CaptureReader(
      source,
      position,
      described.map(({ schema }) => schema),
    );
    const events = eventsOf(await reader.untilWatermark("end"));
    const rows = events.flatMap((event) => (event.kind === "insert" ? [rowText(event.after)] : []));
    expect(rows).toEqual(["1", "2|2", "3|3|3"]);
    expect(events.filter((event) => event.kind === "table-lost")).toEqual([]);
  });

  const losses: readonly (readonly [string, readonly string[], string])[] = [
    ["DROP COLUMN", ["ALTER TABLE items DROP COLUMN name"], "name"],
    ["RENAME COLUMN", ["ALTER TABLE items RENAME COLUMN name TO title"], "name"],
    [
      "a column of the same name and type in place of another",
      ["ALTER TABLE items DROP COLUMN name", "ALTER TABLE items ADD COLUMN name varchar(100)"],
      "name",
    ],
    ["a changed type", ["ALTER TABLE items ALTER COLUMN amount TYPE bigint"], "amount"],
    ["RENAME TABLE", ["ALTER TABLE items RENAME TO things"], "renamed"],
    ["DROP TABLE", ["DROP TABLE items"], "dropped"],
    [
      "a table of the same name in place of another",
      ["DROP TABLE items", "CREATE TABLE items (id integer PRIMARY KEY, name varchar(100), amount integer)"],
      "dropped",
    ],
  ];
  test.each(losses)("%s stops this table, says why, and no other", async (_what, statements, named) => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY, name varchar(100), amount integer)");
    await user.run("CREATE TABLE others (id integer PRIMARY KEY)");
    await using source = bed.openSource({ tuning: { heartbeatMs: 200 } });
    const { position, schemas } = await startCapture(source, [bed.nameOf("items"), bed.nameOf("others")]);
    await using reader = new CaptureReader(source, position, schemas);
    await user.run("INSERT INTO items (id) VALUES (1)");
    const before = eventsOf(await reader.until(({ events }) => events.some((event) => isRowChange(event))));
    expect(before.filter((event) => isRowChange(event))).toHaveLength(1);
    const loss = reader.until(({ events }) => events.some(isLoss));
    for (const sql of statements) await user.run(sql);
    // No row of the table changes any more: it must be noticed all the same.
    const lost = eventsOf(await loss).filter((event) => event.kind === "table-lost");
    expect(lost).toHaveLength(1);
    expect(lost[0]).toMatchObject({ table: bed.nameOf("items"), error: { code: "source.schema_change_unsupported" } });
    expect(String(lost[0]?.error)).toContain(named);
    await user.run("INSERT INTO others VALUES (1)");
    await source.writeWatermark("end", signal());
    const after = eventsOf(await reader.untilWatermark("end"));
    expect(after.filter(isLoss)).toEqual([]);
    expect(after.flatMap((event) => (event.kind === "insert" ? [event.schema.name.table] : []))).toEqual(["others"]);
  });

  test("rows of a changed table that come before anybody has looked are never given out in the old shape", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY, name varchar(100), amount integer)");
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    await user.run("INSERT INTO items VALUES (1, 'a', 1)");
    await user.run("ALTER TABLE items DROP COLUMN amount");
    await user.run("INSERT INTO items VALUES (2, 'b')");
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position, schemas);
    const events = eventsOf(await reader.untilWatermark("end"));
    expect(events.flatMap((event) => (event.kind === "insert" ? [rowText(event.after)] : []))).toEqual(["1|a|1"]);
    expect(events.filter((event) => event.kind === "table-lost")).toHaveLength(1);
  });

  test("TRUNCATE comes as an event with its tables", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await user.run("CREATE TABLE others (id integer PRIMARY KEY)");
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    await user.run("INSERT INTO items VALUES (1)");
    await user.run("TRUNCATE TABLE items");
    await user.run("TRUNCATE TABLE others");
    await user.run("INSERT INTO items VALUES (2)");
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position, schemas);
    const events = eventsOf(await reader.untilWatermark("end"));
    const kinds = events.flatMap((event) => (event.kind === "insert" || event.kind === "truncate" ? [event] : []));
    expect(kinds.map((event) => event.kind)).toEqual(["insert", "truncate", "insert"]);
    expect(kinds[1]).toMatchObject({ tables: [bed.nameOf("items")] });
  });
}
