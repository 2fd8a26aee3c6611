import { RemoteSchemaRegistry } from "@datatrace/avro";
import { Secret } from "@datatrace/core";
import {
  type SchemaRegistryServer,
  startSchemaRegistry,
  type TestPostgres,
  testPostgres,
  waitFor,
} from "@datatrace/testkit";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { PostgresBed, type RunningCapture } from "./bed/postgres-bed.ts";

let database: TestPostgres;
let server: SchemaRegistryServer;

beforeAll(async () => {
  [database, server] = await Promise.all([testPostgres(18), startSchemaRegistry({ compatibility: "FULL" })]);
}, 120_000);

afterAll(async () => {
  await Promise.all([database[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
});

// One registry for all cases: each has tables of its own.
let cases = 0;
let t = "";
let u = "";

beforeEach(() => {
  cases += 1;
  t = `t${cases}`;
  u = `u${cases}`;
});

function deadline(): AbortSignal {
  return AbortSignal.timeout(60_000);
}

async function openBed(onIncompatible: "evolve" | "refuse"): Promise<PostgresBed> {
  const bed = await PostgresBed.open(await database.createDatabase());
  bed.registry = new RemoteSchemaRegistry({ url: new Secret(server.url), onIncompatible });
  await bed.client.query(`CREATE TABLE ${t} (id int PRIMARY KEY, v text NOT NULL); INSERT INTO ${t} VALUES (1, 'x')`);
  await bed.client.query(`CREATE TABLE ${u} (id int PRIMARY KEY, v text); INSERT INTO ${u} VALUES (1, 'x')`);
  return bed;
}

async function stopped({ capture }: RunningCapture, table: string): Promise<string | undefined> {
  return await waitFor(
    () => capture.status().tables.find((status) => status.table === `public.${table}`)?.error?.code ?? null,
    { deadlineMs: 30_000, what: `${table} to stop` },
  );
}

/** Somebody else's version of the table's rows: like the newest one, and with a column `extra` of text. */
async function registerForeign(): Promise<void> {
  const subject = `${server.url}/subjects/bed.public.${t}-value`;
  const { schema } = (await (await fetch(`${subject}/versions/latest`)).json()) as { readonly schema: string };
  const foreign = JSON.parse(schema, (_key, value: unknown) => {
    const { name, fields } = (value ?? {}) as { readonly name?: unknown; readonly fields?: readonly unknown[] };
    if (name !== "Value" || fields === undefined) return value;
    const extra = { name: "extra", type: ["null", "string"], default: null };
    return { ...(value as object), fields: [...fields, extra] };
  }) as unknown;
  const answer = await fetch(`${subject}/versions`, {
    method: "POST",
    headers: { "content-type": "application/vnd.schemaregistry.v1+json" },
    body: JSON.stringify({ schema: JSON.stringify(foreign) }),
  });
  expect(answer.status).toBe(200);
}

/** The change after which the registry takes the table's new version for incompatible. */
const changes = [
  {
    name: "a null where none was",
    prepare: async (): Promise<void> => {},
    sql: () => `ALTER TABLE ${t} ALTER v DROP NOT NULL; INSERT INTO ${t} VALUES (2, NULL)`,
    columns: ["v"],
  },
  {
    name: "a column that somebody else has registered with another type",
    prepare: registerForeign,
    sql: () => `ALTER TABLE ${t} ADD COLUMN extra int; INSERT INTO ${t} VALUES (2, 'y', 7)`,
    columns: ["v", "extra"],
  },
] as const;

test.for(changes)("refuse: $name stops its table, and no other", async ({ prepare, sql }) => {
  await using bed = await openBed("refuse");
  await using run = bed.start();
  await run.capture.caughtUp(deadline());
  await prepare();
  await bed.client.query(sql());
  expect(await stopped(run, t)).toBe("registry.incompatible");
  await bed.client.query(`INSERT INTO ${u} VALUES (2, 'y')`);
  await run.capture.caughtUp(deadline());
  expect(await bed.differences(u, "v")).toEqual([]);
  expect(run.capture.status().state).toBe("running");
});

test.for(changes)("I3: evolve: $name is published all the same", async ({ prepare, sql, columns }) => {
  await using bed = await openBed("evolve");
  await using run = bed.start();
  await run.capture.caughtUp(deadline());
  await prepare();
  await bed.client.query(sql());
  await run.capture.caughtUp(deadline());
  expect(await bed.differences(t, ...columns)).toEqual([]);
  expect(run.capture.status().tables.map(({ error }) => error)).toEqual([null, null]);
});

test("refuse: a column that has become nullable while nothing ran stops its table, and no other", async () => {
  await using bed = await openBed("refuse");
  {
    await using run = bed.start();
    await run.capture.caughtUp(deadline());
  }
  await bed.client.query(`ALTER TABLE ${t} ALTER v DROP NOT NULL; UPDATE ${t} SET v = NULL`);
  await using run = bed.start();
  expect(await stopped(run, t)).toBe("registry.incompatible");
  await bed.client.query(`INSERT INTO ${u} VALUES (2, 'y')`);
  await run.capture.caughtUp(deadline());
  expect(await bed.differences(u, "v")).toEqual([]);
});
