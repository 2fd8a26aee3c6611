import { UNCHANGED } from "@datatrace/core";
import type { SourceEvent, TableSchema } from "@datatrace/core";
import { expect, test } from "vitest";
import type { CaptureHarness } from "./capture-harness.ts";
import { CaptureReader, captureDeadlineMs, eventsOf, isRowChange, rowText, startCapture } from "./capture-reader.ts";

const signal = (): AbortSignal => AbortSignal.timeout(captureDeadlineMs);

/** A text that no database packs into its row. */
const large = Array.from({ length: 20_000 }, (_, index) => ((index * 7_919) % 36).toString(36)).join("");

function isLoss(event: SourceEvent): boolean {
  return event.kind === "table-lost";
}

/** What a change carries, how tables change their shape, and what is left when a capture is removed. */
export function describeCaptureSourceTables(harness: CaptureHarness): void {
  test("tables are listed and described; one that does not exist is refused with a suggestion", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY, name varchar(20) NOT NULL, amount integer)");
    await using source = bed.openSource();
    expect(await source.listTables(signal())).toEqual([bed.nameOf("items")]);
    const [description] = await source.describeTables([bed.nameOf("items")], signal());
    expect(description?.findings).toEqual([]);
    expect(description?.schema).toMatchObject({
      name: bed.nameOf("items"),
      key: [0],
      columns: [
        { name: "id", type: { kind: "int32" }, nullable: false },
        { name: "name", type: { kind: "string", length: 20 }, nullable: false },
        { name: "amount", type: { kind: "int32" }, nullable: true },
      ],
    });
    const error = await source.describeTables([bed.nameOf("item")], signal()).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "source.table_missing" });
    expect(String(error)).toContain("items");
    const findings = await source.inspect([bed.nameOf("item")], signal());
    expect(findings).toContainEqual(expect.objectContaining({ severity: "error", code: "source.table_missing" }));
  });

  test("a healthy source has no finding that would stop a run", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await using source = bed.openSource();
    const findings = await source.inspect([bed.nameOf("items")], signal());
    expect(findings.filter((finding) => finding.severity === "error")).toEqual([]);
    expect(await bed.leftovers()).toEqual([]);
  });

  test("a table without a key is refused, the others are not", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await user.run("CREATE TABLE keyless (id integer)");
    await using source = bed.openSource();
    const tables = ["items", "keyless"].map((table) => bed.nameOf(table));
    const described = await source.describeTables(tables, signal());
    expect(described.map(({ findings }) => findings.map(({ severity, code }) => [severity, code]))).toEqual([
      [],
      [["error", "source.table_without_key"]],
    ]);
  });

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

  test("a change of the key carries the old one, another change does not", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (a integer, b integer, name varchar(100), PRIMARY KEY (a, b))");
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    for (const sql of [
      "INSERT INTO items VALUES (1, 1, 'x')",
      "UPDATE items SET name = 'y'",
      "UPDATE items SET b = 2",
      "UPDATE items SET a = a",
      "DELETE FROM items",
    ]) {
      await user.run(sql);
    }
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position, schemas);
    const lines = eventsOf(await reader.untilWatermark("end")).flatMap((event) => {
      if (event.kind === "update")
        return [`${event.oldKey === null ? "" : rowText(event.oldKey.slice(0, 2))} > ${rowText(event.after)}`];
      if (event.kind === "delete") return [`gone ${rowText(event.before.slice(0, 2))}`];
      return [];
    });
    expect(lines).toEqual([" > 1|1|y", "1|1 > 1|2|y", " > 1|2|y", "gone 1|2"]);
  });

  test("a large value that an update did not touch is whole or `UNCHANGED`, never something else", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run(`CREATE TABLE items (id integer PRIMARY KEY, body ${bed.largeText}, amount integer)`);
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    await user.run(`INSERT INTO items VALUES (1, '${large}', 0)`);
    await user.run("UPDATE items SET amount = 1");
    await user.run("UPDATE items SET id = 2");
    await user.run("UPDATE items SET body = 'small'");
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position, schemas);
    const bodies = eventsOf(await reader.untilWatermark("end")).flatMap((event) =>
      event.kind === "insert" || event.kind === "update" ? [event.after[1]] : [],
    );
    expect(bodies).toHaveLength(4);
    expect(bodies[0]).toBe(large);
    expect(bodies.slice(1, 3).every((body) => body === UNCHANGED || body === large)).toBe(true);
    expect(bodies[3]).toBe("small");
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

  test("tables join and leave a running stream; the answer names those that joined", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await user.run("CREATE TABLE others (id integer PRIMARY KEY)");
    await using source = bed.openSource();
    const [one, other] = [bed.nameOf("items"), bed.nameOf("others")];
    expect(await source.publish([one], signal())).toEqual([one]);
    const { position } = await source.createStream(signal());
    await using reader = new CaptureReader(source, position);
    await user.run("INSERT INTO others VALUES (1)");
    expect(await source.publish([one, other], signal())).toEqual([other]);
    await user.run("INSERT INTO others VALUES (2)");
    expect(await source.publish([other], signal())).toEqual([]);
    await user.run("INSERT INTO items VALUES (3)");
    await user.run("INSERT INTO others VALUES (4)");
    await source.writeWatermark("end", signal());
    const events = eventsOf(await reader.untilWatermark("end"));
    const rows = events.flatMap((event) =>
      event.kind === "insert" ? [`${event.schema.name.table} ${rowText(event.after)}`] : [],
    );
    expect(rows).toEqual(["others 2", "others 4"]);
    expect(events.filter((event) => event.kind === "table-lost")).toEqual([]);
  });

  test("I3: a table joins only when every transaction that had written it has ended", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await using writer = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await using source = bed.openSource();
    await source.publish([], signal());
    const { position } = await source.createStream(signal());
    await writer.run("BEGIN");
    await writer.run("INSERT INTO items VALUES (1)");
    let joined = false;
    const publishing = source.publish([bed.nameOf("items")], signal()).then((added) => {
      joined = true;
      return added;
    });
    // Time for the table to join, if it did not wait.
    for (let beat = 0; beat < 3; beat += 1) await source.writeWatermark(`beat ${beat}`, signal());
    expect(joined).toBe(false);
    await writer.run("COMMIT");
    expect(await publishing).toEqual([bed.nameOf("items")]);
    const [description] = await source.describeTables([bed.nameOf("items")], signal());
    const chunk = await source.readChunk(
      description?.schema as TableSchema,
      { after: null, upTo: null },
      null,
      signal(),
    );
    await user.run("INSERT INTO items VALUES (2)");
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position);
    const events = eventsOf(await reader.untilWatermark("end"));
    const streamed = events.flatMap((event) => (event.kind === "insert" ? [rowText(event.after)] : []));
    expect([...chunk.rows.map((row) => rowText(row)), ...streamed]).toEqual(["1", "2"]);
  });

  test("decommission removes all that was made, and nothing else", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await using other = bed.openSource({ capture: "other" });
    await startCapture(other, [bed.nameOf("items")]);
    const before = await bed.leftovers();
    expect(before).not.toEqual([]);
    await using source = bed.openSource({ capture: "one" });
    expect(await source.decommission(true, signal())).toEqual([]);
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    await using reader = new CaptureReader(source, position, schemas);
    const reading = reader.next().catch((reason: unknown) => reason);
    const made = await bed.leftovers();
    const told = await source.decommission(false, signal());
    expect(told).toHaveLength(made.length - before.length);
    expect(await bed.leftovers()).toEqual(made);
    expect(await source.decommission(true, signal())).toEqual(told);
    expect(await bed.leftovers()).toEqual(before);
    expect(await reading).toMatchObject({ name: "DataTraceError" });
    expect(await source.decommission(true, signal())).toEqual([]);
    expect(await source.identity(signal())).toBe(await other.identity(signal()));
  });
}
