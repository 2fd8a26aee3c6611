import { RemoteSchemaRegistry } from "@datatrace/avro";
import { Secret } from "@datatrace/core";
import {
  type SchemaRegistryServer,
  startSchemaRegistry,
  type TestPostgres,
  testPostgres,
  waitFor,
} from "@datatrace/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PostgresBed, type RunningCapture } from "./bed/postgres-bed.ts";

let database: TestPostgres;
let server: SchemaRegistryServer;

beforeAll(async () => {
  [database, server] = await Promise.all([testPostgres(18), startSchemaRegistry()]);
}, 120_000);

afterAll(async () => {
  await Promise.all([database[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
});

function deadline(): AbortSignal {
  return AbortSignal.timeout(60_000);
}

function open(): RemoteSchemaRegistry {
  return new RemoteSchemaRegistry({ url: new Secret(server.url), timeoutMs: 500, attempts: 2 });
}

async function heldUp({ capture }: RunningCapture, code: string): Promise<void> {
  await waitFor(() => capture.status().state === "retrying" && capture.status().lastError?.code === code, {
    deadlineMs: 20_000,
    what: `the capture to be held up by ${code}`,
  });
}

/** What consumers end with, read through a registry client of their own. */
async function differences(bed: PostgresBed, ...columns: readonly string[]): Promise<readonly string[]> {
  await using own = open();
  const writers = bed.registry;
  bed.registry = own;
  const found = await bed.differences("t", ...columns);
  bed.registry = writers;
  return found;
}

const thousand =
  "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 1000) g;";

test("I7: a capture that starts without its registry waits for it", async () => {
  await using bed = await PostgresBed.open(await database.createDatabase());
  await using registry = open();
  bed.registry = registry;
  await bed.client.query(thousand);
  await server.kill();
  await using run = bed.start();
  await heldUp(run, "registry.connection_lost");
  await server.start();
  await run.capture.caughtUp(deadline());
  expect(await differences(bed, "v")).toEqual([]);
});

test("I7: without its registry a capture goes on with known tables, waits with a new version, and loses nothing", async () => {
  await using bed = await PostgresBed.open(await database.createDatabase());
  await using registry = open();
  bed.registry = registry;
  await bed.client.query(thousand);
  await using run = bed.start();
  await run.capture.caughtUp(deadline());
  await server.freeze();
  await bed.client.query("UPDATE t SET v = 'changed' WHERE id % 10 = 0");
  await run.capture.caughtUp(deadline());
  expect(run.capture.status().retries).toBe(0);
  await bed.client.query("ALTER TABLE t ADD COLUMN extra int NOT NULL DEFAULT 7");
  await bed.client.query("INSERT INTO t VALUES (5000, 'new', 8)");
  await heldUp(run, "registry.transient");
  await bed.client.query("DELETE FROM t WHERE id % 7 = 0");
  await server.thaw();
  await run.capture.caughtUp(deadline());
  expect(await differences(bed, "v", "extra")).toEqual([]);
  const created = (await bed.events("t")).filter(({ op, key }) => op === "c" && key === "id=5000");
  expect(created).toHaveLength(1);
});
