import { availablePostgres, startPostgres, waitFor } from "@datatrace/testkit";
import type { PostgresServer } from "@datatrace/testkit";
import { Secret, SourceText } from "@datatrace/core";
import type { Value } from "@datatrace/core";
import fc from "fast-check";
import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { arrayElementText } from "./array-text.ts";
import { readCatalog } from "./catalog.ts";
import { parseConnectionUrl } from "./connection-settings.ts";
import type { ConnectionSettings } from "./connection-settings.ts";
import { runScript } from "./copy-out.ts";
import { parseLsn } from "./lsn.ts";
import { pgoutputTag } from "./pgoutput.ts";
import { ReplicationConnection } from "./replication-connection.ts";
import { RowDecoder } from "./row-decoder.ts";
import { connect } from "./session.ts";
import { tableShape } from "./table-shape.ts";
import { textEncoder } from "./text-encoder.ts";

interface TypeCase {
  readonly sql: string;
  /** Texts that the type's input function accepts: the edges, always tried. */
  readonly edges: readonly string[];
  readonly random: fc.Arbitrary<string>;
  /** Types without an `=` are compared by their text. */
  readonly comparable?: false;
}

const nasty = [
  "",
  " ",
  "\t",
  "\n",
  "\r\n",
  "\\",
  "\\N",
  "\\.",
  "\\t",
  '"',
  "'",
  "{}",
  "NULL",
  "null",
  "a,b",
  "é€😀",
  "\b\f\v",
  "ÿ",
];
const letters = (list: string): fc.Arbitrary<string> => fc.constantFrom(...Array.from(list));
const text = fc.string({ unit: letters("ab\\\"'{},\t\n\r é€😀\u0001N.") });
const integer = (bits: bigint): fc.Arbitrary<string> =>
  fc.bigInt({ min: -(1n << (bits - 1n)), max: (1n << (bits - 1n)) - 1n }).map(String);
const float = fc.double().map((number) => (Object.is(number, -0) ? "-0" : String(number)));
const float4 = fc.float().map((number) => (Object.is(number, -0) ? "-0" : String(number)));
const numeric = fc
  .tuple(fc.bigInt({ min: -(10n ** 60n), max: 10n ** 60n }), fc.integer({ min: -40, max: 100 }))
  .map(([digits, exponent]) => `${digits}e${exponent}`);
const sized = fc.bigInt({ min: -(10n ** 20n - 1n), max: 10n ** 20n - 1n }).map((digits) => `${digits}e-5`);
const hex = fc.uint8Array().map((bytes) => `\\x${Buffer.from(bytes).toString("hex")}`);
const pad = (value: number, width: number): string => String(value).padStart(width, "0");
const day = fc
  .tuple(
    fc.integer({ min: 1, max: 12_000 }),
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 1, max: 28 }),
    fc.boolean(),
  )
  .map(
    ([year, month, date, bc]) =>
      [`${pad(year, 4)}-${pad(month, 2)}-${pad(date, 2)}`, bc && year < 4000 ? " BC" : ""] as const,
  );
const clock = fc
  .tuple(fc.integer({ min: 0, max: 86_399 }), fc.integer({ min: 0, max: 999_999 }))
  .map(
    ([s, us]) => `${pad(Math.floor(s / 3600), 2)}:${pad(Math.floor(s / 60) % 60, 2)}:${pad(s % 60, 2)}.${pad(us, 6)}`,
  );
const stamp = fc.tuple(day, clock).map(([[date, era], time]) => `${date} ${time}${era}`);
const zoned = fc
  .tuple(day, clock, fc.integer({ min: -12, max: 14 }))
  .map(([[date, era], time, zone]) => `${date} ${time}${zone < 0 ? "-" : "+"}${pad(Math.abs(zone), 2)}${era}`);
const json = fc.json().filter((value) => !value.includes("\\u0000") && !/\\ud[89a-f]/i.test(value));

const dates = [
  "1970-01-01",
  "1969-12-31",
  "0001-01-01",
  "9999-12-31",
  "2000-02-29",
  "infinity",
  "-infinity",
  "0044-03-15 BC",
  "10000-01-01",
  "5874897-12-31",
  "4713-01-01 BC",
];
const stamps = [
  "1970-01-01 00:00:00",
  "1969-12-31 23:59:59.999999",
  "0001-01-01 00:00:00",
  "9999-12-31 23:59:59.999999",
  "1600-01-01 00:00:00.000001",
  "2300-01-01 00:00:00.5",
  "infinity",
  "-infinity",
  "0044-03-15 12:00:00 BC",
  "294276-12-31 23:59:59.999999",
];
const labels = ["small", "a b", "it's", 'quo"te', "back\\slash", "{curly}", "NULL", "né€😀"];

const scalars: readonly TypeCase[] = [
  { sql: "boolean", edges: ["t", "f"], random: fc.boolean().map(String) },
  { sql: "smallint", edges: ["-32768", "32767", "0"], random: integer(16n) },
  { sql: "integer", edges: ["-2147483648", "2147483647"], random: integer(32n) },
  {
    sql: "bigint",
    edges: [
      "-9223372036854775808",
      "9223372036854775807",
      "9007199254740991",
      "9007199254740992",
      "-9007199254740993",
      "999999999999999",
      "-99999999999999",
    ],
    random: integer(64n),
  },
  { sql: "real", edges: ["NaN", "Infinity", "-Infinity", "-0", "1e-45", "3.4028235e38", "0.1"], random: float4 },
  {
    sql: "double precision",
    edges: ["NaN", "Infinity", "-Infinity", "-0", "5e-324", "1.7976931348623157e308", "0.1"],
    random: float,
  },
  {
    sql: "numeric",
    edges: ["NaN", "Infinity", "-Infinity", "0", "0.000", "-1.50", "1e300", "1e-300"],
    random: numeric,
  },
  { sql: "numeric(25,5)", edges: ["NaN", "0", "99999999999999999999.99999", "-0.00001"], random: sized },
  {
    sql: "numeric(7)",
    edges: ["NaN", "-9999999", "0"],
    random: fc.integer({ min: -9_999_999, max: 9_999_999 }).map(String),
  },
  { sql: "text", edges: nasty, random: text },
  { sql: "varchar", edges: nasty, random: text },
  { sql: "varchar(200)", edges: nasty, random: fc.string({ maxLength: 100, unit: letters("a\\\t é😀") }) },
  {
    sql: "char(9)",
    edges: ["", "a", "ab ", "é€😀", "\\\t"],
    random: fc.string({ maxLength: 9, unit: letters("a\\\t é😀") }),
  },
  { sql: "bpchar", edges: ["", "a  "], random: text },
  { sql: "bytea", edges: ["\\x", "\\x00", "\\xff00ff"], random: hex },
  { sql: "date", edges: dates, random: day.map(([date, era]) => date + era) },
  { sql: "time", edges: ["00:00:00", "24:00:00", "23:59:59.999999", "00:00:00.000001"], random: clock },
  { sql: "time(3)", edges: ["24:00:00", "23:59:59.999"], random: clock },
  { sql: "timestamp", edges: stamps, random: stamp },
  { sql: "timestamp(0)", edges: stamps.slice(0, 8), random: stamp },
  {
    sql: "timestamptz",
    edges: stamps.map((value) => (value.endsWith("infinity") ? value : value.replace(/( BC)?$/, "+00$1"))),
    random: zoned,
  },
  { sql: "timestamptz(3)", edges: ["infinity", "2026-01-02 03:04:05.1+00"], random: zoned },
  { sql: "uuid", edges: ["00000000-0000-0000-0000-000000000000"], random: fc.uuid() },
  { sql: "json", edges: ['{"a" :  1.00, "a":2}', '"\\u0041"', "1e400"], random: json, comparable: false },
  { sql: "jsonb", edges: ['{"b":1, "a":1.50}', "12345678901234567890.123456789", '"a\\\\b\\n"'], random: json },
  { sql: "mood", edges: labels, random: fc.constantFrom(...labels) },
];

/** Arrays of the same elements; with lower bounds and dimensions of their own, and with NULLs. */
const arrays: readonly TypeCase[] = scalars.map(({ sql, edges, random, comparable }) => ({
  sql: `${sql}[]`,
  edges: [
    "{}",
    "{NULL}",
    `{${edges.map((edge) => arrayElementText(edge)).join(",")}}`,
    ...edges.map((edge) => `{${arrayElementText(edge)},NULL}`),
    `[0:1]={${arrayElementText(edges[0] ?? "")},NULL}`,
    `{{${arrayElementText(edges[0] ?? "")}},{NULL}}`,
  ],
  random: fc.array(fc.option(random)).map((items) => `{${items.map((item) => arrayElementText(item)).join(",")}}`),
  ...(comparable === undefined ? {} : { comparable }),
}));

const majors = await availablePostgres();

describe.each(majors)("PostgreSQL %i: each type by COPY and by pgoutput is what the database prints", (major) => {
  let server: PostgresServer;
  let settings: ConnectionSettings;
  let session: Client;
  const received: Buffer[] = [];
  let stream: ReplicationConnection;
  let number = 0;

  beforeAll(async () => {
    server = await startPostgres({ major });
    settings = parseConnectionUrl(new Secret(server.url));
    // Every session of this role would print in other ways, if ours did not pin them.
    const admin = await connect(settings, { applicationName: "admin" });
    for (const setting of [
      "TimeZone = 'Asia/Kolkata'",
      "DateStyle = 'German'",
      "IntervalStyle = 'sql_standard'",
      "bytea_output = 'escape'",
      "extra_float_digits = 0",
      "client_encoding = 'LATIN1'",
      "standard_conforming_strings = off",
    ]) {
      await admin.query(`ALTER ROLE postgres SET ${setting}`);
    }
    await admin.end();
    session = await connect(settings, { applicationName: "types" });
    await session.query(`CREATE TYPE mood AS ENUM (${labels.map((label) => session.escapeLiteral(label)).join(",")})`);
    await session.query("CREATE PUBLICATION types FOR ALL TABLES");
    const slot = await session.query<{ lsn: string }>(
      "SELECT lsn FROM pg_create_logical_replication_slot('types', 'pgoutput')",
    );
    stream = await ReplicationConnection.open(
      {
        server: settings,
        applicationName: "types stream",
        slot: "types",
        publication: "types",
        startAt: parseLsn(slot.rows[0]!.lsn),
        statusIntervalMs: 1_000,
        silenceTimeoutMs: 60_000,
      },
      { message: (message) => received.push(Buffer.from(message)), keepAlive: () => undefined },
      AbortSignal.timeout(20_000),
    );
  });

  afterAll(async () => {
    await stream[Symbol.asyncDispose]();
    await session.end();
    await server[Symbol.asyncDispose]();
  });

  /** Both paths' values of a table filled with these texts, in order, with what the database prints. */
  async function store(
    sql: string,
    values: readonly string[],
  ): Promise<{ copied: Value[]; streamed: Value[]; printed: string[]; table: string; decoder: RowDecoder }> {
    number += 1;
    const table = `t${number}`;
    await session.query(`CREATE TABLE ${table} (id int PRIMARY KEY, v ${sql})`);
    received.length = 0;
    await session.query(`INSERT INTO ${table} SELECT n, v::${sql} FROM unnest($1::text[]) WITH ORDINALITY AS u(v, n)`, [
      values,
    ]);
    const catalog = await readCatalog(session, [{ schema: "public", table }]);
    const decoder = new RowDecoder(tableShape(catalog.tables[0]!, catalog).schema);
    const copied: Value[] = [];
    await runScript(session, `COPY (SELECT id, v FROM ${table} ORDER BY id) TO STDOUT`, {
      copyRow: (line) => copied.push(decoder.copyRow(line)[1]!),
    });
    const inserts = await waitFor(
      () => {
        const rows = received.filter((message) => message[0] === pgoutputTag.insert);
        return rows.length === values.length && rows;
      },
      { deadlineMs: 20_000, what: "the inserted rows in the stream" },
    );
    const streamed = inserts.map((message) => decoder.tuple(message, 6, false)[1]!);
    const oracle = await session.query<{ v: string }>(`SELECT v::text AS v FROM ${table} ORDER BY id`);
    return { copied, streamed, printed: oracle.rows.map((row) => row.v), table, decoder };
  }

  test.each([...scalars, ...arrays].map((type) => [type.sql, type] as const))(
    "%s",
    async (sql, { edges, random, comparable }) => {
      const values = [...edges, ...fc.sample(random, { numRuns: 120, seed: 7 })];
      const { copied, streamed, printed, table, decoder } = await store(sql, values);
      expect(streamed).toStrictEqual(copied);
      const encode = textEncoder(decoder.schema.columns[1]!.type);
      const texts = copied.map((value) => encode(value));
      // What is sent back must be the very same value: by the type's own equality and by its text (-0, trailing zeros).
      const same = comparable === false ? "true" : `b.v::${sql} IS NOT DISTINCT FROM a.v`;
      const differing = await session.query<{ printed: string; sent: string }>(
        `SELECT a.v::text AS printed, b.v AS sent FROM ${table} a JOIN unnest($1::text[]) WITH ORDINALITY AS b(v, n) ON b.n = a.id
         WHERE NOT (${same}) OR (b.v::${sql})::text IS DISTINCT FROM a.v::text`,
        [texts],
      );
      expect(differing.rows).toStrictEqual([]);
      // A value kept as the source's text is exactly that.
      const kept = copied.flatMap((value, index) =>
        value instanceof SourceText ? [[value.text, printed[index]]] : [],
      );
      expect(kept.filter(([mine, theirs]) => mine !== theirs)).toStrictEqual([]);
      await session.query(`DROP TABLE ${table}`);
    },
  );

  test("canonical forms", async () => {
    const forms: readonly (readonly [string, string, Value])[] = [
      ["bigint", "9007199254740991", 9_007_199_254_740_991],
      ["bigint", "9007199254740992", 9_007_199_254_740_992n],
      ["numeric(7,3)", "1.5", "1.500"],
      ["numeric(7,3)", "NaN", new SourceText("NaN")],
      ["numeric", "-Infinity", new SourceText("-Infinity")],
      ["real", "0.1", Math.fround(0.1)],
      ["double precision", "-0", -0],
      ["char(3)", "a", "a  "],
      ["date", "1970-01-02", 1],
      ["date", "0001-01-01", -719_162],
      ["date", "infinity", new SourceText("infinity")],
      ["date", "0044-03-15 BC", new SourceText("0044-03-15 BC")],
      ["time", "24:00", 86_400_000_000],
      ["timestamp", "1969-12-31 23:59:59.5", -500_000],
      ["timestamp", "9999-12-31 23:59:59.999999", 253_402_300_799_999_999n],
      ["timestamptz", "2026-01-02 05:04:05.67+02", "2026-01-02T03:04:05.670000Z"],
      ["timestamptz", "0044-03-15 00:00:00+00 BC", new SourceText("0044-03-15 00:00:00+00 BC")],
      ["timestamptz", "10000-01-01 00:00:00+00", new SourceText("10000-01-01 00:00:00+00")],
      ["int[]", "{1,NULL,-3}", [1, null, -3]],
      ["int[]", "[0:0]={1}", new SourceText("[0:0]={1}")],
      ["int[]", "{{1},{2}}", new SourceText("{{1},{2}}")],
      ["numeric[]", "{1,NaN}", new SourceText("{1,NaN}")],
      ["text[]", '{"NULL",NULL,"a\\"\\\\b",""}', ["NULL", null, 'a"\\b', ""]],
      ["bytea[]", '{"\\\\x00ff"}', [Buffer.from([0, 255])]],
      ["mood[]", "{small}", ["small"]],
    ];
    for (const [sql, written, expected] of forms) {
      const { copied, streamed } = await store(sql, [written]);
      expect([sql, written, copied[0]]).toStrictEqual([sql, written, expected]);
      expect([sql, written, streamed[0]]).toStrictEqual([sql, written, expected]);
    }
  });
});
