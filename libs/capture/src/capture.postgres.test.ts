import { testPostgres, type TestPostgres } from "@datatrace/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PostgresBed } from "./bed/postgres-bed.ts";

let server: TestPostgres;
const deadline = (): AbortSignal => AbortSignal.timeout(30_000);

beforeAll(async () => {
  server = await testPostgres(18);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

test("I3: a snapshot and the changes after it are in the log", async () => {
  await using bed = await PostgresBed.open(await server.createDatabase());
  await bed.client.query(
    "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 5000) g",
  );
  await using run = bed.start({ chunkRows: 700 });
  await run.capture.caughtUp(deadline());
  await bed.client.query(
    "UPDATE t SET v = 'changed' WHERE id % 10 = 0; DELETE FROM t WHERE id % 7 = 0; INSERT INTO t VALUES (9999, 'new')",
  );
  const ends = await run.capture.caughtUp(deadline());
  expect(await bed.differences("t", "v")).toEqual([]);
  expect(ends.length).toBe(2);
});
