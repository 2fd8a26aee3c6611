import { DataTraceError, SourceText } from "@datatrace/core";
import type { Row, TableName } from "@datatrace/core";
import { availablePostgres, testPostgres, waitFor } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  DeliveryBed,
  deliveryId,
  insert,
  item,
  itemsSchema,
  never,
  openTarget,
  remove,
  update,
} from "./delivery-bed.ts";
import type { PublishedTopic } from "./delivery-bed.ts";
import type { RunningCase } from "./running-case.ts";

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

/** `items` and `orders`, delivered once; a row of items with a negative quantity is refused from now on. */
async function strictTables(bed: DeliveryBed): Promise<{ items: PublishedTopic; orders: PublishedTopic }> {
  const items = await bed.publish();
  const orders = await bed.publish(itemsSchema("orders"));
  await using running = bed.start();
  await running.applied([...(await items.append([insert(item(0))])), ...(await orders.append([insert(item(0))]))]);
  await bed.query("ALTER TABLE shop.items ADD CONSTRAINT not_negative CHECK (quantity >= 0)");
  return { items, orders };
}

async function stored(bed: DeliveryBed, { topic }: PublishedTopic): Promise<bigint> {
  const [[next] = []] = await bed.query("SELECT next_offset FROM datatrace._datatrace_offsets WHERE topic = $1", [
    topic,
  ]);
  return BigInt(next ?? -1);
}

async function tableFails(running: RunningCase, table: string, code: string): Promise<void> {
  await running.until(`${table} to fail with ${code}`, ({ tables }) =>
    tables.some((one) => one.table.table === table && one.state === "failed" && one.error?.code === code),
  );
}

function mirrorOf({ table }: TableName): TableName {
  return { schema: "mirror", table };
}

const bad = (id: number, name = "bad"): Row => item(id, name, -1);

describe("a row that the target refuses", () => {
  test("I4, I6: quarantine parks its key and all its later changes; every other row is applied", async () => {
    await using bed = await openBed();
    const { items } = await strictTables(bed);
    const many = Array.from({ length: 500 }, (_, id) => insert(item(id + 10)));
    const changes = [
      ...many,
      insert(bad(7)),
      ...many.map(({ row }) => update(row)),
      update(item(7, "good")),
      insert(item(8)),
    ];
    const ends = await items.append(changes);
    await using running = bed.start();
    await running.applied(ends);
    expect((await bed.rows()).map(([id]) => id)).toEqual([0, 8, ...many.map(({ row }) => row[0])]);
    expect(await bed.quarantine()).toEqual(["parked sink.row_rejected id=7", "parked sink.key_parked id=7"]);
    const later = await items.append([remove(7), update(item(7, "later")), insert(item(9))]);
    await running.applied(later);
    expect(await bed.quarantine()).toHaveLength(4);
    expect(running.delivery.status()).toMatchObject({ state: "running", parkedKeys: 1 });
    expect(
      (await bed.query("SELECT detail FROM datatrace._datatrace_quarantine ORDER BY record_offset"))[0]?.[0],
    ).toContain("not_negative");
  });

  test("I4: a parked key stays parked after a restart", async () => {
    await using bed = await openBed();
    const { items } = await strictTables(bed);
    {
      await using running = bed.start();
      await running.applied(await items.append([insert(bad(7)), insert(item(8))]));
    }
    await using running = bed.start();
    await running.applied(await items.append([update(item(7, "good")), update(item(8, "good"))]));
    expect(await bed.rows()).toEqual([item(0), item(8, "good")]);
    expect(await bed.quarantine()).toEqual(["parked sink.row_rejected id=7", "parked sink.key_parked id=7"]);
  });

  test("quarantine keeps the record byte for byte", async () => {
    await using bed = await openBed();
    const { items } = await strictTables(bed);
    const records = await items.records([insert([7, new SourceText("NaN"), -1, null])]);
    await using running = bed.start();
    await running.applied(await bed.write(records));
    const [kept = []] = await bed.query(
      "SELECT encode(key, 'hex'), encode(value, 'hex'), headers::text, record_offset FROM datatrace._datatrace_quarantine",
    );
    expect(kept.slice(0, 2)).toEqual(
      [records[0]?.key, records[0]?.value].map((bytes) => Buffer.from(bytes ?? []).toString("hex")),
    );
    expect(JSON.parse(kept[2] ?? "")).toEqual(records[0]?.headers);
  });

  test("skip_row records it and goes on with its key", async () => {
    await using bed = await openBed();
    const { items } = await strictTables(bed);
    await using running = bed.start({ errorStrategy: "skip_row" });
    await running.applied(await items.append([insert(item(6)), insert(bad(7)), insert(bad(8)), insert(item(9))]));
    await running.applied(await items.append([update(item(7, "good"))]));
    expect(await bed.rows()).toEqual([item(0), item(6), item(7, "good"), item(9)]);
    expect(await bed.quarantine()).toEqual(["skipped sink.row_rejected id=7", "skipped sink.row_rejected id=8"]);
    expect(running.delivery.status().parkedKeys).toBe(0);
  });

  test("I6: skip stops its table exactly before it; the others go on", async () => {
    await using bed = await openBed();
    const { items, orders } = await strictTables(bed);
    await using running = bed.start({ errorStrategy: "skip" });
    const ends = await items.append([insert(item(1)), insert(item(2)), insert(bad(3)), insert(item(4))]);
    await expect(running.applied(ends)).rejects.toMatchObject({ code: "sink.row_rejected" });
    await tableFails(running, "items", "sink.row_rejected");
    await running.applied(await orders.append([insert(item(1))]));
    expect(await bed.rows()).toEqual([item(0), item(1), item(2)]);
    expect(await stored(bed, items)).toBe(3n);
    expect(await bed.quarantine()).toEqual([]);
    expect(running.delivery.status().state).toBe("running");
  });

  test("I6: pause stops the delivery exactly before it, and the offset is kept", async () => {
    await using bed = await openBed();
    const { items, orders } = await strictTables(bed);
    const running = bed.start({ errorStrategy: "pause" });
    await items.append([insert(item(1)), insert(item(2)), insert(bad(3)), insert(item(4))]);
    await waitFor(() => running.ended, { deadlineMs, what: "the delivery to end" });
    expect(running.failure).toMatchObject({
      code: "sink.row_rejected",
      detail: { offset: "3", constraint: "not_negative" },
    });
    expect(running.delivery.status()).toMatchObject({ state: "paused", lastError: { code: "sink.row_rejected" } });
    expect(await bed.rows()).toEqual([item(0), item(1), item(2)]);
    expect(await stored(bed, items)).toBe(3n);
    await expect(running.delivery.appliedThrough([], never)).rejects.toMatchObject({ code: "sink.row_rejected" });

    await bed.query("ALTER TABLE shop.items DROP CONSTRAINT not_negative");
    await using again = bed.start({ errorStrategy: "pause" });
    await again.applied([{ topic: items.topic, partition: 0, last: 4n }]);
    await again.applied(await orders.append([insert(item(1))]));
    expect(await bed.rows()).toEqual([item(0), item(1), item(2), bad(3), item(4)]);
  });

  test("a table with too many parked keys stops, the others go on", { timeout: 60_000 }, async () => {
    await using bed = await openBed();
    const { items, orders } = await strictTables(bed);
    await using running = bed.start();
    await items.append(Array.from({ length: 40 }, (_, id) => insert(bad(id + 1))));
    await tableFails(running, "items", "sink.quarantine_full");
    expect(await bed.quarantine()).toHaveLength(20);
    expect(await stored(bed, items)).toBe(21n);
    await running.applied(await orders.append([insert(item(1))]));
    expect(running.delivery.status().state).toBe("running");
  });

  test("I8: its values are in no log line, no error and no status", async () => {
    await using bed = await openBed();
    const planted = "planted-secret-7731";
    const items = await bed.publish();
    const orders = await bed.publish(itemsSchema("orders"));
    await using running = bed.start({ errorStrategy: "quarantine" });
    await running.applied([...(await items.append([insert(item(0))])), ...(await orders.append([insert(item(0))]))]);
    await bed.query("ALTER TABLE shop.items ADD CONSTRAINT short CHECK (length(name) < 10)");
    await bed.query("ALTER TABLE shop.orders ADD CONSTRAINT one_name UNIQUE (name)");
    await running.applied(await items.append([insert(item(7731_0001, planted)), update(item(7731_0001, planted))]));
    const twice = [insert(item(1, planted)), insert(item(7731_0002, planted))];
    await running.applied(await orders.append(twice), 40_000);
    const text = [new SourceText(planted)].map((value): Row => [7731_0003, "name", value, null]);
    await running.applied(await items.append(text.map((row) => insert(row))));
    expect(await bed.quarantine()).toHaveLength(4);
    const said = [
      bed.logger.text(),
      JSON.stringify(running.delivery.status(), (_, value: unknown) =>
        typeof value === "bigint" ? Number(value) : value,
      ),
    ].join("\n");
    expect(said).toContain("key parked");
    expect(said).not.toMatch(/planted|7731/);
  });
});

describe("a refusal that another row resolves", () => {
  test("I4: a unique value passed on within one batch needs no quarantine", async () => {
    await using bed = await openBed();
    const items = await bed.publish();
    await using running = bed.start();
    await running.applied(await items.append([insert(item(1, "a")), insert(item(2, "b")), insert(item(3, "c"))]));
    await bed.query("ALTER TABLE shop.items ADD UNIQUE (name)");
    const swap = [update(item(1, "spare")), update(item(2, "a")), update(item(3, "b")), update(item(1, "c"))];
    await running.applied(await items.append(swap));
    expect(await bed.rows()).toEqual([item(1, "c"), item(2, "a"), item(3, "b")]);
    expect(await bed.quarantine()).toEqual([]);
  });

  test("a referenced row of another topic is waited for", async () => {
    await using bed = await openBed();
    const { items, orders } = await strictTables(bed);
    await bed.query("INSERT INTO shop.items VALUES (1)");
    await bed.query("ALTER TABLE shop.orders ADD FOREIGN KEY (quantity) REFERENCES shop.items (id)");
    await using running = bed.start({ timing: { orderAttempts: 1000 } });
    const ends = await orders.append([insert(item(5, "child", 77))]);
    await running.until("the child to be retried", ({ tables }) =>
      tables.some(({ table, state }) => table.table === "orders" && state === "retrying"),
    );
    await running.applied(await items.append([insert(item(77, "parent"))]));
    await running.applied(ends);
    expect(await bed.quarantine()).toEqual([]);
    expect(await bed.rows(orders.schema)).toEqual([item(0), item(5, "child", 77)]);
  });

  test("one that nothing resolves is refused in the end", async () => {
    await using bed = await openBed();
    const { orders } = await strictTables(bed);
    await bed.query("ALTER TABLE shop.orders ADD CONSTRAINT one_name UNIQUE (name)");
    await using running = bed.start();
    await running.applied(
      await orders.append([insert(item(1, "same")), insert(item(2, "same")), insert(item(3, "other"))]),
    );
    expect(await bed.rows(orders.schema)).toEqual([item(0), item(1, "same"), item(3, "other")]);
    expect(await bed.quarantine()).toEqual(["parked sink.row_rejected id=2"]);
  });
});

describe("a table that cannot go on", () => {
  test("I7: stops with its code, and goes on by itself when the target is corrected", async () => {
    await using bed = await openBed();
    const { items, orders } = await strictTables(bed);
    await using running = bed.start();
    await running.applied(await items.append([insert(item(1))]));
    await bed.query("ALTER TABLE shop.items RENAME TO mislaid");
    const ends = await items.append([insert(item(2))]);
    await tableFails(running, "items", "sink.table_missing");
    await running.applied(await orders.append([insert(item(1))]));
    await bed.query("ALTER TABLE shop.mislaid RENAME TO items");
    await waitFor(
      async () =>
        running.applied(ends).then(
          () => true,
          () => false,
        ),
      { deadlineMs, what: "the table to go on" },
    );
    expect(await bed.rows()).toEqual([item(0), item(1), item(2)]);
    expect(running.delivery.status().tables.map(({ state }) => state)).toEqual(["running", "running"]);
  });

  test("strategy fail stops the table that exists, and only it", async () => {
    await using bed = await openBed();
    const items = await bed.publish();
    const orders = await bed.publish(itemsSchema("orders"));
    await bed.query("CREATE SCHEMA shop");
    await bed.query("CREATE TABLE shop.items (id bigint PRIMARY KEY)");
    await using running = bed.start();
    await items.append([insert(item(1))]);
    await tableFails(running, "items", "sink.table_exists");
    await running.applied(await orders.append([insert(item(1))]));
    expect(await bed.query("SELECT count(*) FROM shop.items")).toEqual([["0"]]);
  });

  test("I3: a damaged record stops its table before it, and names its place; the others go on", async () => {
    await using bed = await openBed();
    const { items, orders } = await strictTables(bed);
    const [good, broken, after] = await items.records([insert(item(1)), insert(item(2)), insert(item(3))]);
    if (good === undefined || broken === undefined || after === undefined) throw new Error("three records");
    const cut = { ...broken, value: (broken.value ?? Buffer.of()).subarray(0, -3) };
    await bed.write([good, cut, after]);
    await using running = bed.start();
    await tableFails(running, "items", "log.corrupt");
    await running.applied(await orders.append([insert(item(1))]));
    expect(await bed.rows()).toEqual([item(0), item(1)]);
    expect(await stored(bed, items)).toBe(2n);
    const [line] = bed.logger.of("table stopped");
    expect(line?.fields).toMatchObject({ topic: items.topic, partition: 0, code: "log.corrupt", offset: "2" });
  });

  test("I3: a cell that cannot be read stops its table before it, also beside a row that is refused", async () => {
    await using bed = await openBed();
    const { items, orders } = await strictTables(bed);
    const records = await items.records([
      insert(item(1)),
      insert(bad(2)),
      insert(item(3)),
      insert(item(4, "unreadable")),
      insert(item(5)),
      insert(bad(6)),
    ]);
    const place = records[3]?.value ?? Buffer.of();
    // The record stays whole: its text is no UTF-8 any more.
    place[Buffer.from(place).indexOf("unreadable")] = 0xff;
    await bed.write(records);
    await using running = bed.start();
    await tableFails(running, "items", "log.corrupt");
    await running.applied(await orders.append([insert(item(1))]));
    expect(await bed.rows()).toEqual([item(0), item(1), item(3)]);
    expect(await bed.quarantine()).toEqual(["parked sink.row_rejected id=2"]);
    expect(await stored(bed, items)).toBe(4n);
    const [line] = bed.logger.of("table stopped");
    expect(line?.fields).toMatchObject({ topic: items.topic, partition: 0, code: "log.corrupt", offset: "4" });
  });

  test("a cell that cannot be read and is replaced within its batch does no harm", async () => {
    await using bed = await openBed();
    const { items } = await strictTables(bed);
    const records = await items.records([insert(item(1, "unreadable")), update(item(1, "readable"))]);
    const place = records[0]?.value ?? Buffer.of();
    place[Buffer.from(place).indexOf("unreadable")] = 0xff;
    const ends = await bed.write(records);
    await using running = bed.start();
    await running.applied(ends);
    expect(await bed.rows()).toEqual([item(0), item(1, "readable")]);
  });

  test("I3: an offset that the log does not have stops the table, and nothing is skipped", async () => {
    await using bed = await openBed();
    const { items, orders } = await strictTables(bed);
    await bed.query("UPDATE datatrace._datatrace_offsets SET next_offset = 1000 WHERE topic = $1", [items.topic]);
    await using running = bed.start();
    await items.append([insert(item(1))]);
    await tableFails(running, "items", "log.out_of_range");
    await running.applied(await orders.append([insert(item(1))]));
    expect(await stored(bed, items)).toBe(1000n);
  });

  test("I2: a topic that was made anew stops the table", async () => {
    await using bed = await openBed();
    const { items, orders } = await strictTables(bed);
    await bed.log.deleteTopics([items.topic]);
    await bed.publish();
    await using running = bed.start();
    await tableFails(running, "items", "log.topic_recreated");
    await running.applied(await orders.append([insert(item(1))]));
    expect(await bed.rows()).toEqual([item(0)]);
  });

  test("a record without a key stops the table", async () => {
    await using bed = await openBed();
    const { items, orders } = await strictTables(bed);
    const [record] = await items.records([insert(item(1))]);
    if (record === undefined) throw new Error("one record");
    await bed.write([{ ...record, key: null }]);
    await using running = bed.start();
    await tableFails(running, "items", "source.table_without_key");
    await running.applied(await orders.append([insert(item(1))]));
    expect(await stored(bed, items)).toBe(1n);
  });

  test("a table that is stuck holds up no other", { timeout: 60_000 }, async () => {
    await using bed = await openBed();
    const { items, orders } = await strictTables(bed);
    await using sink = openTarget(bed.url, { lockTimeoutMs: 60_000 });
    await using running = bed.start({ sink });
    await running.applied(await orders.append([insert(item(1))]));
    await bed.query("BEGIN");
    await bed.query("LOCK TABLE shop.items IN ACCESS EXCLUSIVE MODE");
    const stuck = await items.append([insert(item(1))]);
    // Once it waits in a transaction of its own: work that is ready in the same moment shares one, until the lock's limit.
    await waitFor(
      async () => (await bed.query("SELECT FROM pg_locks WHERE NOT granted AND relation IS NOT NULL")).length > 0,
      { deadlineMs, what: "the stuck table's unit to wait" },
    );
    for (let id = 2; id < 30; id += 1) await running.applied(await orders.append([insert(item(id))]), 5000);
    expect(await stored(bed, items)).toBe(1n);
    await bed.query("COMMIT");
    await running.applied(stuck);
  });

  test("a wrong login ends the delivery with its code, without the password", async () => {
    await using bed = await openBed();
    await bed.publish();
    const url = new URL(bed.url);
    url.username = "nobody_of_this_name";
    url.password = "planted-password";
    await using sink = openTarget(url.href);
    const running = bed.start({ sink });
    await waitFor(() => running.ended, { deadlineMs, what: "the delivery to end" });
    expect(running.failure).toBeInstanceOf(DataTraceError);
    expect(running.failure).toMatchObject({ code: "sink.login_failed" });
    expect(running.delivery.status()).toMatchObject({ state: "failed", lastError: { code: "sink.login_failed" } });
    expect(`${bed.logger.text()}${JSON.stringify(running.failure)}${String(running.failure)}`).not.toContain("planted");
    await expect(running.delivery.appliedThrough([], never)).rejects.toMatchObject({ code: "sink.login_failed" });
  });

  test("two deliveries of one capture do not touch each other", async () => {
    await using bed = await openBed();
    await bed.log.registerGroup("mirror", ["shop.public.items"]);
    const items = await bed.publish();
    await using one = bed.start();
    await one.applied(await items.append([insert(item(1))]));
    await bed.query("ALTER TABLE shop.items ADD CHECK (id < 2)");
    const ends = await items.append([insert(item(2))]);
    await one.applied(ends);
    await using other = bed.start({ delivery: "mirror", target: mirrorOf });
    await other.applied(ends);
    expect(await bed.rows()).toEqual([item(1)]);
    expect(await bed.query("SELECT id FROM mirror.items ORDER BY id")).toEqual([["1"], ["2"]]);
    expect(other.delivery.status().parkedKeys).toBe(0);
    expect(await bed.query("SELECT delivery, next_offset FROM datatrace._datatrace_offsets ORDER BY 1")).toEqual([
      ["mirror", "2"],
      [deliveryId, "2"],
    ]);
  });
});
