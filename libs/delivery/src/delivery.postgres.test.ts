import { availablePostgres, testPostgres } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DeliveryBed, insert, item, itemsSchema, remove, update } from "./delivery-bed.ts";

let server: TestPostgres;
beforeAll(async () => {
  server = await testPostgres((await availablePostgres()).at(-1) ?? 18);
}, 120_000);
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

test("delivers inserts, updates and deletes, and stores the offset", async () => {
  await using bed = await DeliveryBed.open(await server.createDatabase());
  const items = await bed.publish();
  await using running = bed.start();
  const first = await items.append([insert(item(1, "one")), insert(item(2, "two")), insert(item(3, "three"))]);
  await running.applied(first);
  expect(await bed.rows()).toEqual([item(1, "one"), item(2, "two"), item(3, "three")]);
  const second = await items.append([update(item(1, "uno")), remove(2), insert(item(4, "four"))]);
  await running.applied(second);
  expect(await bed.rows()).toEqual([item(1, "uno"), item(3, "three"), item(4, "four")]);
  expect(running.delivery.status()).toMatchObject({ state: "running", rowsApplied: 6n, lastError: null });
  expect(itemsSchema()).toBeDefined();
});
