import { RemoteSchemaRegistry } from "@datatrace/avro";
import { Secret } from "@datatrace/core";
import { startSchemaRegistry, testPostgres } from "@datatrace/testkit";
import type { SchemaRegistryServer, TestPostgres } from "@datatrace/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DeliveryBed, insert, item, itemsSchema } from "./delivery-bed.ts";
import type { RunningCase } from "./running-case.ts";

let database: TestPostgres;
let server: SchemaRegistryServer;

beforeAll(async () => {
  [database, server] = await Promise.all([testPostgres(18), startSchemaRegistry()]);
}, 120_000);

afterAll(async () => {
  await Promise.all([database[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
});

function open(): RemoteSchemaRegistry {
  return new RemoteSchemaRegistry({ url: new Secret(server.url), timeoutMs: 500, attempts: 2 });
}

async function heldUp(running: RunningCase, table: string, code: string): Promise<void> {
  await running.until(`${table} to be held up by ${code}`, ({ tables }) =>
    tables.some(
      ({ topic, partitions }) => topic.endsWith(table) && partitions.some(({ cause }) => cause?.code === code),
    ),
  );
}

test("I7: a table whose schema is unseen waits for the registry, the others go on, and nothing is lost", async () => {
  await using bed = await DeliveryBed.open(await database.createDatabase());
  await using writer = open();
  await using reader = open();
  bed.registry = writer;
  const items = await bed.publish();
  const parts = await bed.publish(itemsSchema("parts"));
  await using running = bed.start({ registry: reader });
  await running.applied([...(await items.append([insert(item(1))])), ...(await parts.append([insert(item(1))]))]);
  const wider = {
    ...itemsSchema(),
    columns: [
      ...itemsSchema().columns,
      { name: "extra", type: { kind: "int32" }, native: { name: "int4" }, nullable: true } as const,
    ],
  };
  // Registered by its writer, who is another process; then the registry goes.
  const records = await items.records([insert([...item(2), 7]), insert([...item(3), 8])], wider);
  await server.kill();
  const ends = await bed.write(records);
  await heldUp(running, "items", "registry.connection_lost");
  await running.applied(await parts.append([insert(item(2)), insert(item(3))]));
  expect(await bed.rows(itemsSchema("parts"))).toHaveLength(3);
  await server.start();
  await running.applied(ends, 60_000);
  expect(await bed.rows(wider)).toEqual([
    [...item(1), null],
    [...item(2), 7],
    [...item(3), 8],
  ]);
  expect(await bed.quarantine()).toEqual([]);
});

test("I7: a delivery that starts before its registry answers waits for it", async () => {
  await using bed = await DeliveryBed.open(await database.createDatabase());
  await using writer = open();
  await using reader = open();
  bed.registry = writer;
  const items = await bed.publish();
  const ends = await items.append([insert(item(1)), insert(item(2))]);
  await server.freeze();
  await using running = bed.start({ registry: reader });
  await heldUp(running, "items", "registry.transient");
  expect(await bed.rows()).toEqual([]);
  await server.thaw();
  await running.applied(ends, 60_000);
  expect(await bed.rows()).toEqual([item(1), item(2)]);
});

test("a topic of another registry stops its table, for a person", async () => {
  await using bed = await DeliveryBed.open(await database.createDatabase());
  // Its ids are none that ours ever gave.
  bed.registry = { register: () => Promise.resolve(2 ** 30), byId: () => Promise.reject(new Error("not asked")) };
  const items = await bed.publish();
  await items.append([insert(item(1))]);
  await using reader = open();
  await using running = bed.start({ registry: reader });
  await running.until("the table to stop", ({ tables }) =>
    tables.some(({ error }) => error?.code === "registry.schema_unknown"),
  );
  expect(running.ended).toBe(false);
});
