import type { Row, TableSchema } from "@datatrace/core";
import { availablePostgres, testPostgres, waitFor } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import { captureDeadlineMs, rowText } from "@datatrace/testkit/suites";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PostgresBed } from "./postgres-bed.ts";

const signal = (): AbortSignal => AbortSignal.timeout(captureDeadlineMs);
const days = "date '2000-01-01' + (n * 37)";

/** Key columns, and the rows of a table of that key as a SELECT over `n` = 1 … 60. */
const keys: readonly (readonly [string, string, string])[] = [
  ["boolean, smallint", "a boolean, b smallint", "n % 2 = 0, n - 30"],
  [
    "bigint with both ends",
    "a bigint",
    "CASE n WHEN 1 THEN -9223372036854775808 WHEN 2 THEN 9223372036854775807 ELSE n - 30 END",
  ],
  [
    "double precision with NaN and infinity",
    "a double precision",
    "CASE n WHEN 1 THEN 'NaN' WHEN 2 THEN '-Infinity' WHEN 3 THEN 'Infinity' ELSE n / 7.0 - 4 END",
  ],
  ["real", "a real", "n / 7.0 - 4"],
  [
    "numeric with NaN and infinity",
    "a numeric",
    "CASE n WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' ELSE n * 1.50 - 40 END",
  ],
  [
    "text of a language",
    'a text COLLATE "en-x-icu"',
    "substr(md5(n::text), 1, 3) || CASE WHEN n % 2 = 0 THEN 'É' ELSE 'z' END || n",
  ],
  [
    "text with what needs escaping",
    "a text",
    "repeat(chr(92), n % 3) || chr(39) || chr(9) || chr(10) || n || CASE WHEN n % 2 = 0 THEN ' ' ELSE '' END",
  ],
  ["varchar, char", "a varchar(5), b char(6)", "(n % 5)::text, n::text"],
  ["bytea", "a bytea", "decode(md5(n::text), 'hex')"],
  [
    "date with infinity",
    "a date",
    `CASE n WHEN 1 THEN 'infinity' WHEN 2 THEN '-infinity' WHEN 3 THEN '0044-03-15 BC' ELSE ${days} END`,
  ],
  ["time", "a time", "time '00:00' + n * interval '1 minute 1 microsecond'"],
  ["timestamp", "a timestamp(3)", `(${days})::timestamp + n * interval '1 millisecond'`],
  [
    "timestamptz",
    "a timestamptz",
    `CASE n WHEN 1 THEN 'infinity' ELSE (${days})::timestamptz + n * interval '1 microsecond' END`,
  ],
  ["uuid", "a uuid", "md5(n::text)::uuid"],
  ["jsonb", "a jsonb", "jsonb_build_object('k', n, 's', chr(39) || chr(92))"],
  ["enum in its own order", "a mood, b int", "(ARRAY['sad', 'it''s', 'glad']::mood[])[n % 3 + 1], n"],
  ["array", "a int[]", "ARRAY[n % 7, n]"],
  [
    "four columns, the key in another order",
    "d text, a int, c uuid, b date, PRIMARY KEY (b, a, c, d)",
    `'x' || n % 2, n % 4, md5((n % 8)::text)::uuid, ${days}`,
  ],
];

describe.each(await availablePostgres())("PostgreSQL %i: chunks of keys of every kind", (major) => {
  let server: TestPostgres;

  beforeAll(async () => {
    server = await testPostgres(major);
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  test.each(keys)("%s: each key is in exactly one range, and can be read alone", async (_what, columns, values) => {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    await user.run("CREATE TYPE mood AS ENUM ('sad', 'it''s', 'glad')");
    const names = [...columns.matchAll(/(?:^|, )([a-d]) /g)].map(([, name]) => name);
    const key = columns.includes("PRIMARY KEY") ? "" : `, PRIMARY KEY (${names.join(", ")})`;
    await user.run(`CREATE TABLE t (${columns}${key})`);
    await user.run(`INSERT INTO t SELECT ${values} FROM generate_series(1, 60) n`);
    await using source = bed.openSource();
    const [description] = await source.describeTables([bed.nameOf("t")], signal());
    const schema = description?.schema as TableSchema;
    expect(description?.findings).toEqual([]);
    const all = await source.readChunk(schema, { after: null, upTo: null }, null, signal());
    const expected = all.rows.map((row) => rowText(row)).toSorted();
    expect(new Set(expected).size).toBe(60);
    const ranges = [];
    for await (const range of source.planChunks(schema, null, 7, signal())) ranges.push(range);
    expect(ranges).toHaveLength(9);
    const rows: Row[] = [];
    for (const range of ranges) {
      const chunk = await source.readChunk(schema, range, null, signal());
      expect(chunk.rows.length).toBe(range.upTo === null ? 4 : 7);
      rows.push(...chunk.rows);
    }
    expect(rows.map((row) => rowText(row)).toSorted()).toEqual(expected);
    const cells = rows.map((row) => schema.key.map((index) => row[index] ?? null));
    const again = await source.readKeys(schema, cells, signal());
    expect(again.rows.map((row) => rowText(row)).toSorted()).toEqual(expected);
    const one = await source.readKeys(schema, cells.slice(30, 31), signal());
    expect(one.rows.map((row) => rowText(row))).toEqual([rowText(rows[30] ?? [])]);
  });

  test("a range is read along the index, though a scan of the whole table looks cheaper", async () => {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    await user.run("CREATE TABLE t (a int, b text, body text, PRIMARY KEY (a, b))");
    await user.run(
      "INSERT INTO t SELECT n % 100, n::text, repeat('x', 100) FROM generate_series(1, 20000) n ORDER BY md5(n::text)",
    );
    await user.run("ANALYZE t");
    const analyzed = await bed.query<{ scanned: number }>(
      "SELECT seq_tup_read::float8 AS scanned FROM pg_stat_user_tables WHERE relname = 't'",
    );
    let count = 0;
    {
      await using source = bed.openSource();
      const [description] = await source.describeTables([bed.nameOf("t")], signal());
      const schema = description?.schema as TableSchema;
      for await (const range of source.planChunks(schema, null, 9_000, signal())) {
        count += (await source.readChunk(schema, range, null, signal())).rows.length;
      }
    }
    expect(count).toBe(20_000);
    // Sessions hand in their counts when they end. A scan of the whole table for each of the three ranges would read it three
    // times; the look at some rows before them reads a hundred.
    const read = await waitFor(
      async () => {
        const [counts] = await bed.query<{ indexed: number; scanned: number }>(
          `SELECT idx_tup_fetch::float8 AS indexed, seq_tup_read::float8 AS scanned
           FROM pg_stat_user_tables WHERE relname = 't'`,
        );
        return counts !== undefined && counts.indexed + counts.scanned >= 20_000 && counts;
      },
      { deadlineMs: captureDeadlineMs, what: "the counts of the ended sessions" },
    );
    expect(read.scanned - (analyzed[0]?.scanned ?? 0)).toBeLessThan(1_000);
  });

  test("large rows make small chunks", async () => {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    await user.run("CREATE TABLE t (id int PRIMARY KEY, body text)");
    await user.run("INSERT INTO t SELECT n, repeat('0123456789', 50000) FROM generate_series(1, 100) n");
    await using source = bed.openSource();
    const [description] = await source.describeTables([bed.nameOf("t")], signal());
    const schema = description?.schema as TableSchema;
    const sizes: number[] = [];
    for await (const range of source.planChunks(schema, null, 10_000, signal())) {
      sizes.push((await source.readChunk(schema, range, null, signal())).rows.length);
    }
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(100);
    // 500 kB a row.
    expect(Math.max(...sizes)).toBeLessThan(40);
  });
});
