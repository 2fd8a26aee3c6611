import { createEventDecoder } from "@datatrace/avro";
import { headers, parseRereadMessageKey, rereadMessageKey, rereadMessageValue, rereadsTopic } from "@datatrace/core";
import { failpoints, type PostgresServer, startPostgres, waitFor } from "@datatrace/testkit";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { PostgresBed } from "./bed/postgres-bed.ts";
import { readTopic } from "./bed/topic-reader.ts";

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres({ major: 18 });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

beforeEach(() => {
  failpoints.clear();
});

function deadline(): AbortSignal {
  return AbortSignal.timeout(30_000);
}

const thousand =
  "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 1000) g;";

test("I3: a snapshot and the changes after it are in the log, and a later run goes on where the first ended", async () => {
  await using bed = await PostgresBed.open(await server.createDatabase());
  await bed.client.query(thousand);
  {
    await using run = bed.start({ chunkRows: 150 });
    await run.capture.caughtUp(deadline());
    await bed.client.query("UPDATE t SET v = 'changed' WHERE id % 10 = 0; DELETE FROM t WHERE id % 7 = 0");
    const ends = await run.capture.caughtUp(deadline());
    expect(ends).toHaveLength(2);
    expect(await bed.differences("t", "v")).toEqual([]);
  }
  const before = (await bed.events("t")).length;
  await bed.client.query("INSERT INTO t VALUES (9999, 'new')");
  await using run = bed.start();
  await run.capture.caughtUp(deadline());
  expect((await bed.events("t")).length).toBe(before + 1);
  expect(await bed.differences("t", "v")).toEqual([]);
});

test("I7: a snapshot that was cut off goes on where it was", async () => {
  await using bed = await PostgresBed.open(await server.createDatabase());
  await bed.client.query(thousand);
  {
    using _crash = failpoints.on(
      "capture.before_chunk_publish",
      () => {
        throw new Error("crash");
      },
      8,
    );
    await using run = bed.start({ chunkRows: 100, parallelChunks: 1 });
    expect(await run.ended).toEqual(new Error("crash"));
  }
  await using run = bed.start({ chunkRows: 100, parallelChunks: 1 });
  await run.capture.caughtUp(deadline());
  const reads = (await bed.events("t")).filter(({ op }) => op === "r").length;
  expect(reads).toBeLessThanOrEqual(1200);
  expect(await bed.differences("t", "v")).toEqual([]);
});

test.for([
  ["without a default", "ADD COLUMN extra int", []],
  ["with a constant", "ADD COLUMN extra int NOT NULL DEFAULT 7", ["extra"]],
  ["with a volatile default", "ADD COLUMN extra text DEFAULT gen_random_uuid()::text", ["extra"]],
] as const)(
  "I3: a column added %s is in the log, with the rows that it gave a value to",
  async ([, change, columns]) => {
    await using bed = await PostgresBed.open(await server.createDatabase());
    await bed.client.query(thousand);
    await using run = bed.start({ chunkRows: 150 });
    await run.capture.caughtUp(deadline());
    const before = (await bed.events("t")).length;
    await bed.client.query(`ALTER TABLE t ${change}`);
    await run.capture.caughtUp(deadline());
    expect(await bed.differences("t", "v", ...columns)).toEqual([]);
    expect((await bed.events("t")).length - before).toBe(columns.length === 0 ? 0 : 1000);
    await bed.client.query("UPDATE t SET v = 'after' WHERE id < 10; INSERT INTO t (id, v) VALUES (5000, 'x')");
    await run.capture.caughtUp(deadline());
    expect(await bed.differences("t", "v", "extra")).toEqual([]);
    const decoder = createEventDecoder(bed.log.registry);
    const [records = []] = await readTopic(bed.log, "bed.public.t");
    const last = records.at(-1);
    const event = last === undefined ? null : await decoder.decode(last, { topic: "bed.public.t", partition: 0 });
    expect(event?.kind === "change" && event.schema.columns.at(-1)).toMatchObject({ name: "extra", nullable: true });
  },
);

test("I7: a column's rows that were being read when the capture died are read to the end", async () => {
  await using bed = await PostgresBed.open(await server.createDatabase());
  await bed.client.query(thousand);
  {
    await using run = bed.start({ chunkRows: 100, parallelChunks: 1 });
    await run.capture.caughtUp(deadline());
    using _crash = failpoints.on(
      "capture.before_chunk_publish",
      () => {
        throw new Error("crash");
      },
      4,
    );
    await bed.client.query("ALTER TABLE t ADD COLUMN extra int NOT NULL DEFAULT 7");
    expect(await run.ended).toEqual(new Error("crash"));
  }
  await using run = bed.start({ chunkRows: 100, parallelChunks: 1 });
  await run.capture.caughtUp(deadline());
  expect(await bed.differences("t", "v", "extra")).toEqual([]);
});

test("a column that may be null from now on is published so", async () => {
  await using bed = await PostgresBed.open(await server.createDatabase());
  await bed.client.query("CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL); INSERT INTO t VALUES (1, 'x')");
  await using run = bed.start();
  await run.capture.caughtUp(deadline());
  await bed.client.query("ALTER TABLE t ALTER v DROP NOT NULL; INSERT INTO t VALUES (2, NULL)");
  await run.capture.caughtUp(deadline());
  expect(await bed.differences("t", "v")).toEqual([]);
});

const toasted = `
  CREATE TABLE t (id int PRIMARY KEY, small int, large text);
  ALTER TABLE t ALTER large SET STORAGE EXTERNAL;
  INSERT INTO t SELECT g, 0, repeat(md5(g::text), 100) FROM generate_series(1, 20) g;`;

test("I3: large columns that an update leaves out are not lost, whatever happens to the key", async () => {
  await using bed = await PostgresBed.open(await server.createDatabase());
  await bed.client.query(toasted);
  await using run = bed.start();
  await run.capture.caughtUp(deadline());
  await bed.client.query("UPDATE t SET small = 1 WHERE id <= 5");
  await bed.client.query("UPDATE t SET id = id + 100 WHERE id BETWEEN 3 AND 8");
  await bed.client.query("UPDATE t SET small = 2 WHERE id BETWEEN 103 AND 104");
  await run.capture.caughtUp(deadline());
  expect(await bed.differences("t", "small", "large")).toEqual([]);
  const events = await bed.events("t");
  const moved = events.filter((event) => event.op === "c" && event.headers[headers.oldKey] !== undefined);
  expect(moved).toHaveLength(6);
  expect(moved.every((event) => event.partial && event.headers[headers.rFollows] === "*")).toBe(true);
});

test("I7: keys that are to be read again survive the capture's death", async () => {
  await using bed = await PostgresBed.open(await server.createDatabase());
  await bed.client.query(toasted);
  {
    await using run = bed.start();
    await run.capture.caughtUp(deadline());
    using _crash = failpoints.on("capture.after_chunk_read", () => {
      throw new Error("crash");
    });
    await bed.client.query("UPDATE t SET id = id + 100 WHERE id BETWEEN 3 AND 8");
    expect(await run.ended).toEqual(new Error("crash"));
  }
  await using run = bed.start();
  await run.capture.caughtUp(deadline());
  expect(await bed.differences("t", "small", "large")).toEqual([]);
});

test("I3: a row that a sink asks for is published again, and the request is answered", async () => {
  await using bed = await PostgresBed.open(await server.createDatabase());
  await bed.client.query(toasted);
  await using run = bed.start();
  await run.capture.caughtUp(deadline());
  const topic = "bed.public.t";
  const [records = []] = await readTopic(bed.log, topic);
  const asked = [records[0]?.key ?? new Uint8Array(), records[1]?.key ?? new Uint8Array()];
  const before = (await bed.events("t")).length;
  await bed.client.query("DELETE FROM t WHERE id = (SELECT max(id) FROM t)");
  {
    await using writer = await bed.log.openWriter("sink");
    const value = rereadMessageValue();
    await writer.append(
      asked.map((key) => ({ topic: rereadsTopic, partition: 0, key: rereadMessageKey({ topic, key }), value })),
    );
  }
  await waitFor(async () => (await bed.log.latestByKey(rereadsTopic)).length === 0, {
    deadlineMs: 10_000,
    what: "the requests to be answered",
  });
  await run.capture.caughtUp(deadline());
  const again = (await bed.events("t")).filter(({ op }) => op === "r").length;
  expect(again).toBe(20 + 2);
  expect((await bed.events("t")).length).toBeGreaterThan(before);
  expect(parseRereadMessageKey(rereadMessageKey({ topic, key: asked[0] ?? new Uint8Array() }))?.topic).toBe(topic);
  expect(await bed.differences("t", "small", "large")).toEqual([]);
});

test("I3: a truncate, a dropped column and a dropped table each stop their table, and no other", async () => {
  await using bed = await PostgresBed.open(await server.createDatabase());
  for (const table of ["truncated", "altered", "dropped", "kept"]) {
    await bed.client.query(`CREATE TABLE ${table} (id int PRIMARY KEY, v int); INSERT INTO ${table} VALUES (1, 1)`);
  }
  await bed.client.query("CREATE TABLE keyless (id int)");
  await using run = bed.start();
  await run.capture.caughtUp(deadline());
  await bed.client.query(
    "TRUNCATE truncated; ALTER TABLE altered DROP COLUMN v; DROP TABLE dropped; INSERT INTO kept VALUES (2, 2)",
  );
  for (const table of ["truncated", "altered", "dropped"]) {
    await bed.until(run.capture, table, ({ phase }) => phase === "parked");
  }
  await bed.client.query(
    "INSERT INTO truncated VALUES (3, 3); INSERT INTO altered VALUES (3); INSERT INTO kept VALUES (3, 3)",
  );
  await run.capture.caughtUp(deadline());
  const codes = run.capture.status().tables.map(({ table, error }) => [table, error?.code ?? null]);
  expect(Object.fromEntries(codes)).toEqual({
    "public.altered": "source.schema_change_unsupported",
    "public.dropped": expect.stringMatching(/^source\.(?:schema_change_unsupported|table_missing)$/) as string,
    "public.keyless": "source.table_without_key",
    "public.kept": null,
    "public.truncated": "source.truncate_unsupported",
  });
  expect(await bed.differences("kept", "v")).toEqual([]);
  expect((await bed.events("truncated")).some(({ key }) => key === "id=3")).toBe(false);
});

test("I7: a source that restarts is connected to again, and nothing is lost", async () => {
  await using own = await startPostgres({ major: 18 });
  await using bed = await PostgresBed.open(await own.createDatabase());
  await bed.client.query(thousand);
  await using run = bed.start();
  await run.capture.caughtUp(deadline());
  await own.kill();
  await waitFor(() => run.capture.status().state === "retrying", { deadlineMs: 10_000, what: "the trouble to show" });
  expect(run.capture.status().lastError?.code).toBe("source.connection_lost");
  await own.start();
  const client = await bed.connect();
  await client.query("INSERT INTO t VALUES (2000, 'after')");
  await run.capture.caughtUp(deadline());
  expect(run.capture.status()).toMatchObject({ state: "running" });
  expect((await bed.events("t")).filter(({ key }) => key === "id=2000")).toHaveLength(1);
});

test("a table that is made while the capture runs joins it", async () => {
  await using bed = await PostgresBed.open(await server.createDatabase());
  await using run = bed.start();
  await run.capture.caughtUp(deadline());
  await bed.client.query(thousand);
  await run.capture.caughtUp(deadline());
  await bed.client.query("DELETE FROM t WHERE id < 100");
  await run.capture.caughtUp(deadline());
  expect(await bed.differences("t", "v")).toEqual([]);
});
