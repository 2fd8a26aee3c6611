import { SourceText, UNCHANGED } from "@datatrace/core";
import type { SourceEvent, TableSchema } from "@datatrace/core";
import { availablePostgres, testPostgres } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import {
  CaptureReader,
  captureDeadlineMs,
  eventsOf,
  isRowChange,
  rowText,
  startCapture,
} from "@datatrace/testkit/suites";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PostgresBed } from "./postgres-bed.ts";

const signal = (): AbortSignal => AbortSignal.timeout(captureDeadlineMs);
const whole = { after: null, upTo: null } as const;
/** 40,000 characters that do not compress into a row. */
const large = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1250) n)";

function changesOf(events: readonly SourceEvent[]) {
  return events.filter((event) => isRowChange(event));
}

function lossesOf(events: readonly SourceEvent[]): readonly string[] {
  return events.flatMap((event) => (event.kind === "table-lost" ? [`${event.error.code} ${event.error.message}`] : []));
}

describe.each(await availablePostgres())("PostgreSQL %i: tables", (major) => {
  let server: TestPostgres;

  beforeAll(async () => {
    server = await testPostgres(major);
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  /** Runs statements over a captured table `t`, before and after the capture has begun; answers what was streamed. */
  async function follow(
    before: readonly string[],
    after: readonly string[],
    tables: readonly { readonly schema: string; readonly table: string }[] = [{ schema: "public", table: "t" }],
  ): Promise<{ readonly events: readonly SourceEvent[]; readonly schemas: readonly TableSchema[] }> {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    for (const sql of before) await user.run(sql);
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, tables);
    for (const sql of after) await user.run(sql);
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position, schemas);
    return { events: eventsOf(await reader.untilWatermark("end")), schemas };
  }

  test("names with quotes, capitals, spaces, dashes and other letters", async () => {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    await user.run(`CREATE SCHEMA "Sch""éma-1"`);
    await user.run(`CREATE TYPE "Sch""éma-1"."Mood ""x""" AS ENUM ('it''s', 'b"c', 'é')`);
    await user.run(
      `CREATE TABLE "Sch""éma-1"."T'able ""€""" ("Id-1" "Sch""éma-1"."Mood ""x""", "select" text, "ü ""q""" int, PRIMARY KEY ("select", "Id-1"))`,
    );
    await using source = bed.openSource({ capture: 'Weird-Näme/with "quotes"' });
    const name = { schema: 'Sch"éma-1', table: `T'able "€"` };
    expect(await source.listTables(signal())).toEqual([name]);
    const { position, schemas } = await startCapture(source, [name]);
    const schema = schemas[0] as TableSchema;
    expect(schema.columns.map((column) => column.name)).toEqual(["Id-1", "select", 'ü "q"']);
    expect(schema.key).toEqual([1, 0]);
    await user.run(
      `INSERT INTO "Sch""éma-1"."T'able ""€""" VALUES ('it''s', 'a', 1), ('b"c', 'a', 2), ('é', 'b\\c', 3)`,
    );
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position, schemas);
    const rows = ["it's|a|1", 'b"c|a|2', "é|b\\c|3"];
    const streamed = changesOf(eventsOf(await reader.untilWatermark("end")));
    expect(streamed.map((change) => (change.kind === "insert" ? rowText(change.after) : ""))).toEqual(rows);
    const read: string[] = [];
    for await (const range of source.planChunks(schema, null, 1, signal())) {
      read.push(...(await source.readChunk(schema, range, 'ü "q"', signal())).rows.map((row) => rowText(row)));
    }
    expect(read).toEqual(rows);
    const keys = await source.readKeys(
      schema,
      [
        ["b\\c", "é"],
        ["a", 'b"c'],
      ],
      signal(),
    );
    expect(keys.rows.map((row) => rowText(row)).toSorted()).toEqual([rows[1], rows[2]]);
    expect(await source.decommission(true, signal())).toHaveLength(2);
  });

  test("REPLICA IDENTITY FULL: the whole row before, and nothing left out after", async () => {
    const { events } = await follow(
      ["CREATE TABLE t (id int PRIMARY KEY, body text, n int)", "ALTER TABLE t REPLICA IDENTITY FULL"],
      [`INSERT INTO t VALUES (1, ${large}, 0)`, "UPDATE t SET n = 1", "UPDATE t SET id = 2", "DELETE FROM t"],
    );
    const [inserted, updated, moved, deleted] = changesOf(events);
    const body = inserted?.kind === "insert" ? (inserted.after[1] as string) : "";
    expect(body).toHaveLength(40_000);
    expect(updated).toMatchObject({ kind: "update", before: [1, body, 0], oldKey: null, after: [1, body, 1] });
    expect(moved).toMatchObject({ kind: "update", before: [1, body, 1], oldKey: [1, body, 1], after: [2, body, 1] });
    expect(deleted).toMatchObject({ kind: "delete", before: [2, body, 1], beforeIsFull: true });
  });

  test("REPLICA IDENTITY DEFAULT: an untouched large column is left out; a delete has the key only", async () => {
    const { events } = await follow(
      ["CREATE TABLE t (id int PRIMARY KEY, body text, n int NOT NULL)"],
      [`INSERT INTO t VALUES (1, ${large}, 0)`, "UPDATE t SET n = 1", "UPDATE t SET id = 2", "DELETE FROM t"],
    );
    const [, updated, moved, deleted] = changesOf(events);
    expect(updated).toMatchObject({ kind: "update", before: null, oldKey: null, after: [1, UNCHANGED, 1] });
    expect(moved).toMatchObject({ kind: "update", before: null, oldKey: [1, null, null], after: [2, UNCHANGED, 1] });
    expect(deleted).toMatchObject({ kind: "delete", before: [2, null, null], beforeIsFull: false });
  });

  test("REPLICA IDENTITY USING INDEX: carried when the index has the key", async () => {
    const { events } = await follow(
      [
        "CREATE TABLE t (id int PRIMARY KEY, code int NOT NULL, n int)",
        "CREATE UNIQUE INDEX wide ON t (code, id)",
        "ALTER TABLE t REPLICA IDENTITY USING INDEX wide",
      ],
      ["INSERT INTO t VALUES (1, 10, 0)", "UPDATE t SET code = 11", "UPDATE t SET id = 2", "DELETE FROM t"],
    );
    const [, recoded, moved, deleted] = changesOf(events);
    expect(recoded).toMatchObject({ kind: "update", oldKey: null, after: [1, 11, 0] });
    expect(moved).toMatchObject({ kind: "update", oldKey: [1, 11, null], after: [2, 11, 0] });
    expect(deleted).toMatchObject({ kind: "delete", before: [2, 11, null], beforeIsFull: false });
  });

  test("a large key that an update did not touch is in the new row", async () => {
    const { events } = await follow(
      ["CREATE TABLE t (id text PRIMARY KEY, n int)", "ALTER TABLE t ALTER COLUMN id SET STORAGE EXTERNAL"],
      ["INSERT INTO t VALUES (repeat('k', 2500), 0)", "UPDATE t SET n = 1"],
    );
    const [, updated] = changesOf(events);
    expect(updated).toMatchObject({ kind: "update", oldKey: null, after: ["k".repeat(2500), 1] });
  });

  test("values that the canonical type cannot hold travel as the source's text", async () => {
    const { events } = await follow(
      ["CREATE TABLE t (id numeric PRIMARY KEY, d date, n numeric(5,2), a int[])"],
      ["INSERT INTO t VALUES ('NaN', 'infinity', 'NaN', '[0:1]={1,2}')"],
    );
    const [change] = changesOf(events);
    expect(change).toMatchObject({
      after: [new SourceText("NaN"), new SourceText("infinity"), new SourceText("NaN"), new SourceText("[0:1]={1,2}")],
    });
  });

  const losses: readonly (readonly [string, string, RegExp])[] = [
    [
      "the replica identity becomes NOTHING",
      "ALTER TABLE t REPLICA IDENTITY NOTHING",
      /source.replica_identity .*does not carry its key/,
    ],
    [
      "the primary key is dropped",
      "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t REPLICA IDENTITY FULL",
      /source.schema_change_unsupported .*primary key was dropped/,
    ],
    [
      "the primary key changes",
      "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (code)",
      /source.schema_change_unsupported .*primary key changed from \(id\) to \(code\)/,
    ],
    [
      "the primary key gets another column",
      "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id, code)",
      /source.schema_change_unsupported .*from \(id\) to \(id, code\)/,
    ],
    [
      "a type becomes longer",
      "ALTER TABLE t ALTER COLUMN name TYPE varchar(30)",
      /source.schema_change_unsupported .*column name changed from varchar\(20\) to varchar\(30\)/,
    ],
    [
      "a column of a type that is not carried is added",
      "ALTER TABLE t ADD COLUMN p point",
      /source.type_unsupported .*column p has the type pg_catalog.point/,
    ],
    [
      "a column of a domain is added",
      "ALTER TABLE t ADD COLUMN e email",
      /source.type_unsupported .*column e has the type domain public.email/,
    ],
  ];
  test.each(losses)("this table stops, in its place in the stream, when %s", async (_what, sql, expected) => {
    const { events } = await follow(
      [
        "CREATE DOMAIN email AS text",
        "CREATE TABLE t (id int PRIMARY KEY, code int NOT NULL, name varchar(20))",
        "CREATE TABLE u (id int PRIMARY KEY)",
      ],
      [
        "INSERT INTO t (id, code) VALUES (1, 1)",
        sql,
        "INSERT INTO t (id, code) VALUES (2, 2)",
        "INSERT INTO u VALUES (1)",
        "INSERT INTO t (id, code) VALUES (3, 3)",
      ],
      ["t", "u"].map((table) => ({ schema: "public", table })),
    );
    const told = lossesOf(events);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(expected);
    const tables = changesOf(events).map((change) => change.schema.name.table);
    expect(tables).toEqual(["t", "u"]);
  });

  test("a column that gives up NOT NULL is nullable from its first null on, in the stream and in chunks", async () => {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    await user.run("CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL)");
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("t")]);
    const strict = schemas[0] as TableSchema;
    await user.run("INSERT INTO t VALUES (1, 1)");
    await user.run("ALTER TABLE t ALTER COLUMN n DROP NOT NULL");
    await user.run("INSERT INTO t VALUES (2, NULL), (3, 3)");
    const chunk = await source.readChunk(strict, whole, null, signal());
    expect(chunk.rows.map((row) => rowText(row)).toSorted()).toEqual(["1|1", "2|null", "3|3"]);
    expect(chunk.schema.columns.map((column) => column.nullable)).toEqual([false, true]);
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position, schemas);
    const changes = changesOf(eventsOf(await reader.untilWatermark("end")));
    expect(changes.map((change) => (change.kind === "insert" ? rowText(change.after) : ""))).toEqual([
      "1|1",
      "2|null",
      "3|3",
    ]);
    expect(changes.at(-1)?.schema).toBe(chunk.schema);
    // And it stays so, though the constraint comes back.
    await user.run("UPDATE t SET n = 0 WHERE n IS NULL");
    await user.run("ALTER TABLE t ALTER COLUMN n SET NOT NULL");
    const [description] = await source.describeTables([bed.nameOf("t")], signal());
    expect(description?.schema).toBe(chunk.schema);
  });

  test("an enum may grow, in the stream and in chunks; a renamed label stops the table", async () => {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    await user.run("CREATE TYPE mood AS ENUM ('sad', 'glad')");
    await user.run("CREATE TABLE t (id int PRIMARY KEY, m mood, all_moods mood[])");
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("t")]);
    await user.run("INSERT INTO t VALUES (1, 'sad', '{glad}')");
    await user.run("ALTER TYPE mood ADD VALUE 'so-so' BEFORE 'glad'");
    await user.run("INSERT INTO t VALUES (2, 'so-so', '{}'), (3, 'sad', '{so-so,NULL}')");
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position, schemas);
    const events = eventsOf(await reader.untilWatermark("end"));
    const chunk = await source.readChunk(schemas[0] as TableSchema, whole, null, signal());
    expect(chunk.rows).toHaveLength(3);
    expect(lossesOf(events)).toEqual([]);
    const changes = changesOf(events);
    const rows = changes.map((change) => (change.kind === "insert" ? rowText(change.after) : ""));
    expect(rows).toEqual(["1|sad|[glad]", "2|so-so|[]", "3|sad|[so-so,null]"]);
    expect(changes[0]?.schema).toBe(schemas[0]);
    expect(changes[1]?.schema).toBe(chunk.schema);
    expect(changes[1]?.schema.columns[1]?.type).toEqual({ kind: "enum", values: ["sad", "so-so", "glad"] });
    await user.run("ALTER TYPE mood RENAME VALUE 'glad' TO 'happy'");
    await user.run("INSERT INTO t VALUES (4, 'happy', NULL)");
    await source.writeWatermark("renamed", signal());
    const after = eventsOf(await reader.untilWatermark("renamed"));
    expect(lossesOf(after)).toEqual([expect.stringMatching(/schema_change_unsupported.*label/)]);
    expect(changesOf(after)).toEqual([]);
    const refused = await source.readChunk(chunk.schema, whole, null, signal()).catch((reason: unknown) => reason);
    expect(refused).toMatchObject({ code: "source.schema_change_unsupported" });
  });

  test("a chunk of a table that lost a column, or is gone, says so", async () => {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    await user.run("CREATE TABLE t (id int PRIMARY KEY, n int)");
    await using source = bed.openSource();
    const [description] = await source.describeTables([bed.nameOf("t")], signal());
    const schema = description?.schema as TableSchema;
    const read = async (): Promise<unknown> =>
      await source.readChunk(schema, whole, null, signal()).catch((reason: unknown) => reason);
    await user.run("ALTER TABLE t DROP COLUMN n");
    expect(await read()).toMatchObject({ code: "source.schema_change_unsupported" });
    await user.run("DROP TABLE t");
    expect(await read()).toMatchObject({ code: "source.table_missing", detail: { table: "public.t" } });
  });

  test("rows of partitions and of child tables are not taken for those of their parent", async () => {
    const { events } = await follow(
      ["CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE child (PRIMARY KEY (id)) INHERITS (t)"],
      ["INSERT INTO child VALUES (1)", "INSERT INTO t VALUES (2)"],
    );
    expect(changesOf(events).map((change) => (change.kind === "insert" ? rowText(change.after) : ""))).toEqual(["2"]);
  });

  test("generated columns are left out, of stream and chunks alike", async () => {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    await user.run("CREATE TABLE t (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, n int)");
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("t")]);
    const [description] = await source.describeTables([bed.nameOf("t")], signal());
    expect(description?.findings).toMatchObject([{ severity: "info", table: "public.t" }]);
    await user.run("INSERT INTO t (id, n) VALUES (1, 5)");
    const chunk = await source.readChunk(schemas[0] as TableSchema, whole, null, signal());
    await using reader = new CaptureReader(source, position, schemas);
    const [change] = changesOf(eventsOf(await reader.until(({ events }) => events.length > 0)));
    expect(change).toMatchObject({ kind: "insert", after: [1, 5] });
    expect(chunk.rows).toEqual([[1, 5]]);
  });
});
