import {
  UNCHANGED,
  headers,
  parseRereadMessageKey,
  rereadsTopic,
  stateTopic,
  publishedTableKey,
} from "@datatrace/core";
import type { TableSchema } from "@datatrace/core";
import { keyIdentity } from "@datatrace/avro";
import { availablePostgres, testPostgres, waitFor } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { decommissionDelivery } from "./decommission-delivery.ts";
import {
  DeliveryBed,
  capture,
  deliveryId,
  insert,
  item,
  itemsSchema,
  never,
  openTarget,
  remove,
  targetOf,
  update,
} from "./delivery-bed.ts";
import { silentObserver } from "./observer.ts";
import type { Change, PublishedTopic } from "./delivery-bed.ts";

const deadlineMs = 20_000;

let server: TestPostgres;
beforeAll(async () => {
  server = await testPostgres((await availablePostgres()).at(-1) ?? 18);
}, 120_000);
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function openBed(): Promise<DeliveryBed> {
  return DeliveryBed.open(await server.createDatabase());
}

async function storedOffsets(bed: DeliveryBed): Promise<readonly string[]> {
  const found = await bed.query(
    "SELECT topic || '/' || partition || '=' || next_offset FROM datatrace._datatrace_offsets ORDER BY 1",
  );
  return found.map(([line]) => line ?? "");
}

/** An update that leaves `note` out. */
function partial(id: number, follows?: string): Change {
  const change: Change = { op: "u", row: item(id, "partial", 5, UNCHANGED) };
  return follows === undefined ? change : { ...change, headers: { [headers.rFollows]: follows } };
}

test("I5: delivers inserts, updates and deletes, with the offset", async () => {
  await using bed = await openBed();
  const items = await bed.publish();
  await using running = bed.start();
  await running.applied(await items.append([insert(item(1, "one")), insert(item(2, "two")), insert(item(3, "three"))]));
  expect(await bed.rows()).toEqual([item(1, "one"), item(2, "two"), item(3, "three")]);
  expect(await storedOffsets(bed)).toEqual([`${items.topic}/0=3`]);
  await running.applied(await items.append([update(item(1, "uno")), remove(2), insert(item(4, "four"))]));
  expect(await bed.rows()).toEqual([item(1, "uno"), item(3, "three"), item(4, "four")]);
  // The delete and its tombstone are two records.
  expect(await storedOffsets(bed)).toEqual([`${items.topic}/0=7`]);
  expect(running.delivery.status()).toMatchObject({ state: "running", rowsApplied: 6n, lastError: null });
});

test("I7: goes on from the stored offset after a restart, and applies nothing twice", async () => {
  await using bed = await openBed();
  const items = await bed.publish();
  {
    await using running = bed.start();
    await running.applied(await items.append([insert(item(1, "one")), insert(item(2, "two"))]));
  }
  // Somebody changes a row: were the first records applied again, it would change back.
  await bed.query("UPDATE shop.items SET name = 'changed by hand' WHERE id = 1");
  const ends = await items.append([insert(item(3, "three"))]);
  await using running = bed.start();
  await running.applied(ends);
  expect(await bed.rows()).toEqual([item(1, "changed by hand"), item(2, "two"), item(3, "three")]);
  expect(running.delivery.status().rowsApplied).toBe(1n);
});

test("applies many rows over several partitions, in batches", { timeout: 60_000 }, async () => {
  await using bed = await openBed();
  const items = await bed.publish(itemsSchema(), 3);
  await using running = bed.start({ batchRows: 100, parallelApplies: 2 });
  const rows = Array.from({ length: 3000 }, (_, id) => item(id, `name ${id}`));
  await running.applied(await items.append(rows.map((row) => insert(row))));
  expect(await bed.rows()).toEqual(rows);
  const changed = rows.map(([id], place) => item(Number(id), place % 2 === 0 ? "even" : "odd"));
  await running.applied(await items.append([...changed, ...changed].map((row) => update(row))));
  expect(await bed.rows()).toEqual(changed);
});

test("small changes of several tables share a transaction", async () => {
  await using bed = await openBed();
  const topics: PublishedTopic[] = [];
  for (const name of ["a", "b", "c"]) topics.push(await bed.publish(itemsSchema(name)));
  await using running = bed.start();
  for (const topic of topics) await running.applied(await topic.append([insert(item(1))]));
  const records = await Promise.all(topics.map(async (topic) => topic.records([insert(item(2))])));
  await running.applied(await bed.write(records.flat()));
  const [[transactions] = []] = await bed.query(
    `SELECT count(DISTINCT xmin::text) FROM (SELECT id, xmin FROM shop.a UNION ALL SELECT id, xmin FROM shop.b
      UNION ALL SELECT id, xmin FROM shop.c) AS rows WHERE id = 2`,
  );
  expect(transactions).toBe("1");
});

test("a table that is added while it runs is delivered, one that is left out is not", async () => {
  await using bed = await openBed();
  const items = await bed.publish();
  await using running = bed.start({ target: (table) => (table.table === "secret" ? null : targetOf(table)) });
  await running.applied(await items.append([insert(item(1))]));
  const orders = await bed.publish(itemsSchema("orders"), 2);
  const secret = await bed.publish(itemsSchema("secret"));
  const ends = [
    ...(await orders.append([insert(item(1)), insert(item(2))])),
    ...(await secret.append([insert(item(1))])),
  ];
  await running.applied(ends.filter(({ topic }) => topic === orders.topic));
  // What is left out counts as applied.
  await running.applied(ends);
  expect(await bed.rows(orders.schema)).toEqual([item(1), item(2)]);
  expect(await bed.rows(secret.schema)).toEqual([]);
  expect(running.delivery.status().tables.map(({ table }) => table.table)).toEqual(["items", "orders"]);
});

test("a capture that has published nothing yet is waited for", async () => {
  await using bed = await openBed();
  await using running = bed.start();
  await running.until("the delivery to run", ({ state }) => state === "running");
  const items = await bed.publish();
  await running.applied(await items.append([insert(item(1))]));
  expect(await bed.rows()).toEqual([item(1)]);
});

test("a table that the capture takes back is no longer delivered", async () => {
  await using bed = await openBed();
  const items = await bed.publish();
  const orders = await bed.publish(itemsSchema("orders"));
  await using running = bed.start();
  await running.applied(await items.append([insert(item(1))]));
  await bed.write([
    { topic: stateTopic(capture), partition: 0, key: Buffer.from(publishedTableKey("public.items")), value: null },
  ]);
  await running.until("one table", ({ tables }) => tables.length === 1);
  await running.applied(await orders.append([insert(item(1))]));
  expect(running.delivery.status().tables.map(({ table }) => table.table)).toEqual(["orders"]);
});

test("a new version of a table extends the target in the middle of a batch", async () => {
  await using bed = await openBed();
  const items = await bed.publish();
  const wider: TableSchema = {
    ...items.schema,
    columns: [
      ...items.schema.columns,
      { name: "colour", type: { kind: "string" }, native: { name: "text" }, nullable: true },
    ],
  };
  const records = [
    ...(await items.records([insert(item(1, "old"))])),
    ...(await items.records([insert([...item(2, "new"), "red"]), update([...item(1, "new"), "blue"])], wider)),
    ...(await items.records([insert(item(3, "late"))])),
  ];
  const ends = await bed.write(records);
  await using running = bed.start();
  await running.applied(ends);
  expect(await bed.rows(wider)).toEqual([
    [...item(1, "new"), "blue"],
    [...item(2, "new"), "red"],
    [...item(3, "late"), null],
  ]);
});

test("I3: a partial update of a missing row asks for it through the log, until it comes", async () => {
  await using bed = await openBed();
  const items = await bed.publish();
  {
    await using running = bed.start();
    await running.applied(await items.append([insert(item(1, "whole", 1, "large"))]));
    await running.applied(
      await items.append([partial(1), partial(2), partial(3, "*"), partial(4, `x,${deliveryId}`), partial(5, "x,y")]),
    );
    expect(await bed.rows()).toEqual([item(1, "partial", 5, "large")]);
    const asked = await waitFor(
      async () => {
        const found = (await bed.log.topic(rereadsTopic)) === null ? [] : await bed.log.latestByKey(rereadsTopic);
        return found.length >= 2 ? found : null;
      },
      { deadlineMs, what: "two requests in the log" },
    );
    const [second, fifth] = await items.records([insert(item(2)), insert(item(5))]);
    const keys = asked.map(({ key }) => keyIdentity(parseRereadMessageKey(key ?? Buffer.of())?.key ?? Buffer.of()));
    expect(new Set(keys)).toEqual(new Set([second, fifth].map((record) => keyIdentity(record?.key ?? Buffer.of()))));
    expect(await bed.query("SELECT count(*) FROM datatrace._datatrace_rereads")).toEqual([["2"]]);
  }
  // The capture has seen none of it (its tombstones say so), and another process delivers now: it asks again.
  await bed.write(
    (await bed.log.latestByKey(rereadsTopic)).map(({ key }) => ({
      topic: rereadsTopic,
      partition: 0,
      key,
      value: null,
    })),
  );
  await using running = bed.start();
  await waitFor(async () => (await bed.log.latestByKey(rereadsTopic)).length === 2, { deadlineMs, what: "both again" });
  await running.applied(await items.append([{ op: "r", row: item(2, "partial", 5, "read again") }, remove(5)]));
  expect(await bed.rows()).toEqual([item(1, "partial", 5, "large"), item(2, "partial", 5, "read again")]);
  expect(await bed.query("SELECT count(*) FROM datatrace._datatrace_rereads")).toEqual([["0"]]);
});

test("I2: the log is told what is applied, and never more", async () => {
  await using bed = await openBed();
  const items = await bed.publish();
  let looks = 0;
  const lag = (): void => {
    looks += 1;
  };
  await using running = bed.start({ observer: { ...silentObserver, lag } });
  await running.applied(await items.append([insert(item(1)), insert(item(2))]));
  await waitFor(async () => (await bed.log.groupProgress(deliveryId)).some(({ next }) => next === 2n), {
    deadlineMs,
    what: "the hint",
  });
  await bed.query("BEGIN");
  await bed.query("LOCK TABLE shop.items IN ACCESS EXCLUSIVE MODE");
  const ends = await items.append([insert(item(3))]);
  await running.until("the change to be on its way", ({ lagRows }) => lagRows === 1n);
  // Each look is followed by a hint: after the second look the first hint is over.
  const seen = looks;
  await waitFor(() => looks >= seen + 2, { deadlineMs, what: "two more looks" });
  expect((await bed.log.groupProgress(deliveryId)).map(({ next }) => next)).toEqual([2n]);
  await bed.query("COMMIT");
  await running.applied(ends);
});

test("status tells lag, rows and partitions", async () => {
  await using bed = await openBed();
  const items = await bed.publish(itemsSchema(), 2);
  await using running = bed.start();
  const ends = await items.append(Array.from({ length: 50 }, (_, id) => insert(item(id))));
  await running.applied(ends);
  await running.until("no lag", ({ lagRows, tables }) => lagRows === 0n && tables[0]?.partitions.length === 2);
  const [table] = running.delivery.status().tables;
  expect(table).toMatchObject({ state: "running", rowsApplied: 50n, parkedKeys: 0, error: null, phase: "streaming" });
  expect(table?.target).toEqual({ schema: "shop", table: "items" });
  expect(table?.partitions.map(({ state, next, lagRows }) => ({ state, next, lagRows }))).toEqual(
    ends
      .toSorted((a, b) => a.partition - b.partition)
      .map(({ last }) => ({ state: "running", next: last + 1n, lagRows: 0n })),
  );
});

test("the observer hears of rows, latency and lag", async () => {
  await using bed = await openBed();
  const items = await bed.publish();
  const heard = { rows: 0, upserts: 0, deletes: 0, latencies: [] as number[], lag: 0 };
  await using running = bed.start({
    observer: {
      applied: ({ rows, upserts, deletes, sizeBytes, seconds }) => {
        heard.rows += rows;
        heard.upserts += upserts;
        heard.deletes += deletes;
        expect(sizeBytes).toBeGreaterThan(0);
        expect(seconds).toBeGreaterThan(0);
      },
      latency: (seconds) => heard.latencies.push(seconds),
      retried: () => undefined,
      quarantined: () => undefined,
      lag: () => {
        heard.lag += 1;
      },
    },
  });
  await running.applied(await items.append([insert(item(1)), { op: "r", row: item(2) }, remove(1)]));
  await waitFor(() => heard.lag > 0, { deadlineMs, what: "a look at the lag" });
  expect(heard).toMatchObject({ rows: 3, upserts: 1, deletes: 1 });
  // One source transaction: one latency. A snapshot read has none.
  expect(heard.latencies.length).toBeGreaterThan(0);
  expect(Math.max(...heard.latencies)).toBeLessThan(60);
});

test("decommission of a delivery that runs is refused, and removes nothing, in the log or in the target", async () => {
  await using bed = await openBed();
  const items = await bed.publish();
  await using sink = openTarget(bed.url);
  await using running = bed.start({ sink });
  await running.applied(await items.append([insert(item(1))]));
  const left = { delivery: deliveryId, sink, log: bed.log };
  const told = await decommissionDelivery(left, false, never);
  await expect(decommissionDelivery(left, true, never)).rejects.toMatchObject({ code: "log.group_in_use" });
  expect(await decommissionDelivery(left, false, never)).toEqual(told);
  await running.applied(await items.append([insert(item(2))]));
  expect(await bed.rows()).toEqual([item(1), item(2)]);
});

test.for([{ at: "the log" }, { at: "the target" }])(
  "I7: a decommission that was cut off at $at, its topics gone already, is found again and can be repeated",
  async ({ at }) => {
    await using bed = await openBed();
    const items = await bed.publish();
    await using sink = openTarget(bed.url);
    const running = bed.start({ sink });
    await running.applied(await items.append([insert(item(1))]));
    await running[Symbol.asyncDispose]();
    await bed.log.deleteTopics([items.topic]);
    const cut = new Error("cut off");
    const left = { delivery: deliveryId, sink, log: bed.log };
    const cutOff =
      at === "the log"
        ? {
            ...left,
            log: {
              groupProgress: (group: string) => bed.log.groupProgress(group),
              removeGroup: () => Promise.reject(cut),
            },
          }
        : {
            ...left,
            sink: {
              decommission: (delivery: string, apply: boolean, signal: AbortSignal) =>
                apply ? Promise.reject(cut) : sink.decommission(delivery, apply, signal),
            },
          };
    await expect(decommissionDelivery(cutOff, true, never)).rejects.toBe(cut);
    expect(await decommissionDelivery(left, false, never)).not.toEqual([]);
    await decommissionDelivery(left, true, never);
    expect(await decommissionDelivery(left, false, never)).toEqual([]);
  },
);

test("decommission forgets the delivery in target and log, and keeps the rows", async () => {
  await using bed = await openBed();
  const items = await bed.publish();
  await using sink = openTarget(bed.url);
  const running = bed.start({ sink });
  await running.applied(await items.append([insert(item(1))]));
  await running[Symbol.asyncDispose]();
  const left = { delivery: deliveryId, sink, log: bed.log };
  const told = await decommissionDelivery(left, false, never);
  expect(told.join("\n")).toContain(`group ${deliveryId}`);
  expect(await decommissionDelivery(left, true, never)).toEqual(told);
  expect(await bed.rows()).toEqual([item(1)]);
  expect(await bed.log.groupProgress(deliveryId)).toEqual([]);
  expect(await bed.query("SELECT to_regclass('datatrace._datatrace_offsets')")).toEqual([[null]]);
});

test("a large row makes a small batch, and all of them arrive", { timeout: 60_000 }, async () => {
  await using bed = await openBed();
  const items = await bed.publish();
  const note = "x".repeat(1_000_000);
  for (let id = 0; id < 20; id += 1) await items.append([insert(item(id, "large", 1, note))]);
  let largest = 0;
  await using running = bed.start({
    observer: {
      ...silentObserver,
      applied: ({ sizeBytes }) => {
        largest = Math.max(largest, sizeBytes);
      },
    },
  });
  await running.applied([{ topic: items.topic, partition: 0, last: 19n }], 50_000);
  expect((await bed.query("SELECT count(*), sum(length(note)) FROM shop.items"))[0]).toEqual(["20", "20000000"]);
  expect(largest).toBeLessThan(6_000_000);
});
