import { SourceText } from "@datatrace/core";
import type { TableName, TableSchema } from "@datatrace/core";
import { quoteName, quoteTable, readCatalog, tableShape } from "@datatrace/postgres";
import { availablePostgres, testPostgres } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PostgresBed, openSink } from "./postgres-bed.ts";

const never = new AbortController().signal;
const delivery = "warehouse";

/** Type, and literals that its input function reads: the edges, and what a careless writer would change. */
const types: readonly (readonly [string, readonly string[]])[] = [
  ["boolean", ["t", "f"]],
  ["smallint", ["-32768", "32767"]],
  ["integer", ["-2147483648", "2147483647"]],
  ["bigint", ["-9223372036854775808", "9007199254740993", "9223372036854775807"]],
  ["real", ["NaN", "Infinity", "-Infinity", "-0", "1e-45", "3.4028235e38", "0.1"]],
  ["double precision", ["NaN", "Infinity", "-Infinity", "-0", "5e-324", "1.7976931348623157e308", "0.1"]],
  ["numeric", ["NaN", "Infinity", "-Infinity", "0.000", "-1.50", "1e100", "1e-100", "12345678901234567890.123456789"]],
  ["numeric(25,5)", ["NaN", "0", "99999999999999999999.99999", "-0.00001"]],
  ["numeric(9)", ["123456789", "-5"]],
  ["text", ["", " ", "\\", '"', "'", "NULL", "{}", "a,b", "\t\r\n", "é€😀", "\u0001"]],
  ["varchar(10)", ["", "x ", "1234567890", "😀😀😀"]],
  ["varchar", ["any length"]],
  ["char(5)", ["", "a", "12345"]],
  ["bytea", ["\\x", "\\x00", "\\xff225c7b7d"]],
  ["date", ["1970-01-01", "0001-01-01", "9999-12-31", "infinity", "-infinity", "0044-03-15 BC", "5874897-12-31"]],
  ["time", ["00:00:00", "23:59:59.999999", "24:00:00"]],
  ["time(2)", ["12:34:56.78", "24:00:00"]],
  [
    "timestamp",
    [
      "1969-12-31 23:59:59.999999",
      "0001-01-01 00:00:00",
      "infinity",
      "0044-03-15 12:00:00 BC",
      "294276-12-31 23:59:59.999999",
    ],
  ],
  ["timestamp(0)", ["2026-01-02 03:04:05"]],
  [
    "timestamptz",
    ["1970-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00", "-infinity", "0044-03-15 12:00:00+00 BC"],
  ],
  ["timestamptz(3)", ["2026-01-02 03:04:05.678+00"]],
  ["uuid", ["00000000-0000-0000-0000-000000000000", "3f2c8a0e-1b2c-4d3e-8f90-a1b2c3d4e5f6"]],
  ["json", ['{"b": 1,  "a":[1.10,null], "b": 2}', "12345678901234567890.10", '"\\u20ac"']],
  ["jsonb", ['{"b": 1, "a": [1.10, null]}', "12345678901234567890.10"]],
  ['"Mood 1"', ["a", "it's", 'quo"te', "comma,"]],
];

interface Case {
  readonly name: string;
  readonly sql: string;
  readonly literals: readonly (string | null)[];
}

function arrayText(elements: readonly (string | null)[]): string {
  const quoted = elements.map((text) => (text === null ? "NULL" : `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`));
  return `{${quoted.join(",")}}`;
}

const scalars = types.map(([sql, literals], place): Case => ({
  name: `c${place}`,
  sql,
  literals: [...literals, null],
}));
const arrays = types.map(([sql, literals], place): Case => ({
  name: `a${place}`,
  sql: `${sql}[]`,
  literals: [arrayText([...literals, null]), "{}", arrayText(literals.slice(0, 1)), null],
}));
const cases = [...scalars, ...arrays];
const depth = Math.max(...cases.map(({ literals }) => literals.length));

const source: TableName = { schema: "public", table: "everything" };
const target: TableName = { schema: "copy", table: "everything" };

/** What PostgreSQL prints for every cell. */
async function printed(bed: PostgresBed, table: TableName, schema: TableSchema): Promise<readonly unknown[]> {
  const texts = schema.columns.map(({ name }) => `t.${quoteName(name)}::text`);
  const { rows } = await bed.client.query<unknown[]>({
    text: `SELECT ${texts.join(", ")} FROM ${quoteTable(table)} t ORDER BY t.id`,
    rowMode: "array",
  });
  return rows;
}

async function columnTypes(bed: PostgresBed, table: TableName): Promise<readonly unknown[]> {
  const { rows } = await bed.client.query<{ name: string; type: string }>(
    `SELECT attname AS name, replace(replace(format_type(atttypid, atttypmod), 'copy.', ''), 'public.', '') AS type
      FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum`,
    [quoteTable(table)],
  );
  return rows;
}

function withMood(values: readonly string[]): TableSchema {
  return {
    name: source,
    columns: [
      { name: "id", type: { kind: "int32" }, native: { name: "int4" }, nullable: false },
      { name: "mood", type: { kind: "enum", values }, native: { name: "Mood" }, nullable: true },
    ],
    key: [0],
  };
}

describe.each(await availablePostgres())("PostgreSQL %i", (major) => {
  let server: TestPostgres;
  beforeAll(async () => {
    server = await testPostgres(major);
  }, 120_000);
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  test("I6: every type is made again exactly, and every value prints as at the source", async () => {
    await using bed = await PostgresBed.open(await server.createDatabase());
    await using sink = openSink(bed.target);
    await bed.client.query(`CREATE TYPE "Mood 1" AS ENUM ('a', 'it''s', 'quo"te', 'comma,')`);
    await bed.client.query(
      `CREATE TABLE everything (id int PRIMARY KEY, ${cases.map(({ name, sql }) => `${name} ${sql}`).join(", ")})`,
    );
    for (let place = 0; place < depth; place += 1) {
      const names = cases.map(({ name }) => name).join(", ");
      const values = cases.map(({ literals }) => literals[place] ?? null);
      const marks = cases.map((_, index) => `$${index + 2}`).join(", ");
      await bed.client.query(`INSERT INTO everything (id, ${names}) VALUES ($1, ${marks})`, [place, ...values]);
    }
    const catalog = await readCatalog(bed.client, [source]);
    const [table] = catalog.tables;
    if (table === undefined) throw new Error("the table is there");
    const { schema, findings } = tableShape(table, catalog);
    expect(findings).toEqual([]);
    const rows = await bed.rows(source, schema);
    expect(rows.flat().some((value) => value instanceof SourceText)).toBe(true);

    await sink.open(never);
    await sink.prepare(delivery, { target, schema, strategy: "fail" }, never);
    const [claim] = await sink.claim(delivery, [{ topic: "t", partition: 0, topicEpoch: 1, start: 0n }], never);
    if (claim === undefined) throw new Error("claimed");
    const unit = {
      partitions: [{ ...claim, loaded: 0n, next: 1n }],
      tables: [{ target, schema, deletes: [], upserts: rows, partials: [] }],
      quarantine: [],
      rereadsDone: [],
    };
    expect(await sink.apply(delivery, unit, never)).toMatchObject({ kind: "applied" });
    expect(await columnTypes(bed, target)).toEqual(await columnTypes(bed, source));
    expect(await printed(bed, target, schema)).toEqual(await printed(bed, source, schema));
    // The same over rows that are there.
    const again = { ...unit, partitions: [{ ...claim, loaded: 1n, next: 2n }] };
    expect(await sink.apply(delivery, again, never)).toMatchObject({ kind: "applied" });
    expect(await printed(bed, target, schema)).toEqual(await printed(bed, source, schema));
    // And a second process finds nothing to object to in what the first has made.
    await using another = openSink(bed.target);
    await another.prepare(delivery, { target, schema, strategy: "fail" }, never);
    expect(await another.inspect(delivery, [{ target, schema, strategy: "fail" }], never)).toEqual([]);
  });

  /** Source type, target column as somebody has made it, whether the one fits into the other. */
  const pairs: readonly (readonly [string, string, boolean])[] = [
    ["varchar(20)", "varchar(10)", false],
    ["varchar(20)", "varchar(30)", true],
    ["varchar(20)", "varchar", true],
    ["varchar(20)", "text", true],
    ["text", "varchar(1000)", false],
    ["varchar(20)", "char(20)", false],
    ["char(5)", "char(5)", true],
    ["char(5)", "char(8)", false],
    ["char(5)", "text", true],
    ["text", "citext_like", false],
    ["numeric(10,2)", "numeric(5,2)", false],
    ["numeric(10,2)", "numeric(10,1)", false],
    ["numeric(10,2)", "numeric(10,3)", false],
    ["numeric(10,2)", "numeric(11,3)", true],
    ["numeric(10,2)", "numeric", true],
    ["numeric", "numeric(30,10)", false],
    ["numeric(10,2)", "double precision", false],
    ["integer", "smallint", false],
    ["integer", "bigint", true],
    ["integer", "numeric", true],
    ["integer", "numeric(9)", false],
    ["integer", "numeric(10)", true],
    ["integer", "real", false],
    ["integer", "text", false],
    ["bigint", "integer", false],
    ["double precision", "real", false],
    ["real", "double precision", true],
    ["timestamp", "timestamp(0)", false],
    ["timestamp(3)", "timestamp", true],
    ["timestamp(3)", "timestamp(2)", false],
    ["timestamp", "timestamptz", false],
    ["timestamptz", "timestamp", false],
    ["timestamptz", "timestamptz(3)", false],
    ["timestamp", "date", false],
    ["time", "time(0)", false],
    ["date", "timestamp", false],
    ["json", "jsonb", false],
    ["jsonb", "json", true],
    ["json", "text", false],
    ["bytea", "text", false],
    ["uuid", "text", false],
    ["varchar(20)[]", "varchar(10)[]", false],
    ["integer[]", "bigint[]", true],
    ["integer[]", "smallint[]", false],
    ["integer[]", "integer", false],
    ["integer", "integer[]", false],
    ["integer", "positive", false],
    ['"Mood 1"', "text", true],
    ['"Mood 1"', "varchar(2)", false],
    ['"Mood 1"', "varchar(6)", true],
    ["integer", "integer GENERATED ALWAYS AS IDENTITY", false],
    ["integer", "integer GENERATED ALWAYS AS (id * 2) STORED", false],
    ["integer", "integer GENERATED BY DEFAULT AS IDENTITY", true],
    ["integer", "integer NOT NULL", true],
  ];

  test("I6: a target column that would round, cut, pad or normalise is refused by name; a wider one is taken", async () => {
    await using bed = await PostgresBed.open(await server.createDatabase());
    await using sink = openSink(bed.target);
    await sink.open(never);
    await bed.client.query(`CREATE TYPE "Mood 1" AS ENUM ('a', 'it''s', 'quo"te', 'comma,')`);
    await bed.client.query("CREATE SCHEMA copy");
    await bed.client.query("CREATE DOMAIN positive AS int CHECK (VALUE > 0)");
    await bed.client.query("CREATE TYPE citext_like AS (text text)");
    const verdicts: (readonly [string, string, boolean])[] = [];
    const refusals: unknown[] = [];
    for (const [place, [from, to]] of pairs.entries()) {
      const one = { schema: "public", table: `s${place}` };
      const other = { schema: "copy", table: `t${place}` };
      await bed.client.query(`CREATE TABLE ${quoteTable(one)} (id int PRIMARY KEY, cell ${from})`);
      await bed.client.query(`CREATE TABLE ${quoteTable(other)} (id int PRIMARY KEY, cell ${to})`);
      const catalog = await readCatalog(bed.client, [one]);
      const [table] = catalog.tables;
      if (table === undefined) throw new Error("the table is there");
      const { schema } = tableShape(table, catalog);
      const error: unknown = await sink.prepare(delivery, { target: other, schema, strategy: "append" }, never).then(
        () => null,
        (refused: unknown) => refused,
      );
      if (error !== null) refusals.push(error);
      verdicts.push([from, to, error === null]);
    }
    expect(verdicts).toEqual(pairs);
    const named = { code: "sink.schema_conflict", detail: { column: "cell" } };
    expect(refusals).toMatchObject(refusals.map(() => named));
  });

  test("I4: a key column that calls different keys equal is refused", async () => {
    await using bed = await PostgresBed.open(await server.createDatabase());
    await using sink = openSink(bed.target);
    await sink.open(never);
    await bed.client.query("CREATE SCHEMA copy");
    await bed.client.query(
      "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    );
    await bed.client.query("CREATE TABLE copy.everything (id text COLLATE blind PRIMARY KEY, cell int)");
    await bed.client.query("CREATE TABLE copy.plain (id text PRIMARY KEY, cell text COLLATE blind)");
    const schema: TableSchema = {
      name: source,
      columns: [
        { name: "id", type: { kind: "string" }, native: { name: "text" }, nullable: false },
        { name: "cell", type: { kind: "int32" }, native: { name: "int4" }, nullable: true },
      ],
      key: [0],
    };
    await expect(sink.prepare(delivery, { target, schema, strategy: "append" }, never)).rejects.toMatchObject({
      code: "sink.schema_conflict",
      detail: { column: "id" },
    });
    const textual: TableSchema = {
      ...schema,
      columns: schema.columns.map((column) => ({ ...column, type: { kind: "string" }, native: { name: "text" } })),
    };
    const plain = { schema: "copy", table: "plain" };
    await sink.prepare(delivery, { target: plain, schema: textual, strategy: "append" }, never);
  });

  test("an enum gets the values that the source has meanwhile, each at its place", async () => {
    await using bed = await PostgresBed.open(await server.createDatabase());
    await using sink = openSink(bed.target);
    await sink.open(never);
    const labels = async (): Promise<readonly string[]> => {
      const { rows } = await bed.client.query<{ label: string }>(
        `SELECT enumlabel AS label FROM pg_enum WHERE enumtypid = 'copy."Mood"'::regtype ORDER BY enumsortorder`,
      );
      return rows.map(({ label }) => label);
    };
    await sink.prepare(delivery, { target, schema: withMood(["b", "d"]), strategy: "fail" }, never);
    expect(await labels()).toEqual(["b", "d"]);
    await sink.prepare(delivery, { target, schema: withMood(["a", "b", "c'", "d", "e"]), strategy: "fail" }, never);
    expect(await labels()).toEqual(["a", "b", "c'", "d", "e"]);
    await sink.prepare(delivery, { target, schema: withMood(["b", "d"]), strategy: "fail" }, never);
    expect(await labels()).toEqual(["a", "b", "c'", "d", "e"]);
  });
});
