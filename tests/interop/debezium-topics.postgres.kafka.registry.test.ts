import { openKafkaEventLog } from "@datatrace/event-log-kafka";
import { waitFor } from "@datatrace/testkit";
import { CompressionTypes } from "kafkajs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AvscRow, unscaled } from "./avsc-row.ts";
import {
  customersColumns,
  customersSql,
  emptyCustomer,
  endlessCustomer,
  fullCustomer,
  unknownCustomer,
} from "./debezium-customers.ts";
import { connectTime, type DebeziumColumn, decimal, logical, propagated } from "./debezium-schemas.ts";
import type { DebeziumRecord } from "./debezium-topic.ts";
import { DeliveredBed } from "./delivered-bed.ts";

let bed: DeliveredBed;

beforeAll(async () => {
  bed = await DeliveredBed.start();
}, 240_000);

afterAll(async () => {
  await bed[Symbol.asyncDispose]();
});

const unavailable = "__debezium_unavailable_value";
const customers = { columns: customersColumns, key: ["id"] };
const items = { columns: [{ name: "id", type: "int" }], key: ["id"] } as const;

function created(row: AvscRow): DebeziumRecord {
  return { key: { id: row["id"] }, value: { op: "c", after: row } };
}

function updated(row: AvscRow): DebeziumRecord {
  return { key: { id: row["id"] }, value: { op: "u", after: row } };
}

/** Offset of the next record of a topic's only partition, as the target has it. */
function offsetSql(topic: string): string {
  return `SELECT next_offset FROM datatrace._datatrace_offsets WHERE topic = '${topic}' AND partition = 0`;
}

describe("our delivery and PostgreSQL sink read what Debezium writes", () => {
  test("I3, I6: snapshot rows, inserts, updates with and without the old row, deletes with their tombstones, of every type", async () => {
    await using opened = await bed.open("all");
    const { db } = opened;
    const topic = await opened.topic("customers", customers, 3);
    await db.query(customersSql);
    const read = [fullCustomer(1), emptyCustomer(2), endlessCustomer(3)];
    await db.query(`INSERT INTO inventory.customers VALUES ${read.map(({ sql }) => sql).join(", ")}`);
    const snapshot = ["first", "true", "last"];
    const records = read.map(({ row }, at) => ({
      key: { id: row["id"] },
      value: { op: "r", after: row, ...(snapshot[at] === undefined ? {} : { snapshot: snapshot[at] }) },
    }));
    opened.deliver();
    await opened.applied(await topic.send(records, { compression: CompressionTypes.GZIP }));
    expect(await opened.rows("shop.customers")).toEqual(await opened.rows("inventory.customers"));

    await db.query(`INSERT INTO inventory.customers VALUES ${[4, 5, 6].map((id) => fullCustomer(id).sql).join(", ")};
      UPDATE inventory.customers SET bio = 'changed', price = 0.10 WHERE id IN (1, 4);
      UPDATE inventory.customers SET bio = NULL, extra = 'null' WHERE id = 3;
      DELETE FROM inventory.customers WHERE id IN (2, 5)`);
    const price = Buffer.from([10]);
    const changed = [1, 4].map((id) => ({ ...fullCustomer(id).row, bio: "changed", price }));
    const [first = {}, fourth = {}] = changed;
    const changes = [
      ...[4, 5, 6].map((id) => created(fullCustomer(id).row)),
      // REPLICA IDENTITY FULL, and DEFAULT.
      { key: { id: 1 }, value: { op: "u", before: fullCustomer(1).row, after: first } },
      updated(fourth),
      updated({ ...endlessCustomer(3).row, bio: null, extra: "null" }),
      ...topic.removed({ id: 2 }, { ...unknownCustomer, id: 2 }),
      ...topic.removed({ id: 5 }, fullCustomer(5).row),
    ];
    await opened.applied(await topic.send(changes));
    expect(await opened.rows("shop.customers")).toEqual(await opened.rows("inventory.customers"));

    // Nothing is applied again by the next run, and what has come meanwhile is.
    await opened.stop();
    await db.query("DELETE FROM inventory.customers WHERE id = 6; DELETE FROM shop.customers WHERE id = 1");
    const last = await topic.send(topic.removed({ id: 6 }, { ...unknownCustomer, id: 6 }));
    opened.deliver();
    await opened.applied(last);
    await db.query("DELETE FROM inventory.customers WHERE id = 1");
    expect(await opened.rows("shop.customers")).toEqual(await opened.rows("inventory.customers"));
  });

  test("I4: a key change (delete, tombstone, create) moves the row, there and back, in one batch and in three", async () => {
    await using opened = await bed.open("moved");
    const { db } = opened;
    const topic = await opened.topic("customers", customers, 3);
    await db.query(customersSql);
    await db.query(`INSERT INTO inventory.customers VALUES ${fullCustomer(1).sql}, ${fullCustomer(2).sql}`);
    const move = (from: number, to: number) => [
      ...topic.removed({ id: from }, { ...unknownCustomer, id: from }, { "__debezium.newkey": `{"id":${to}}` }),
      {
        key: { id: to },
        value: { op: "c", after: fullCustomer(to).row },
        headers: { "__debezium.oldkey": `{"id":${from}}` },
      },
    ];
    const rows = [1, 2].map((id) => created(fullCustomer(id).row));
    await topic.send([...rows, ...move(1, 11), ...move(2, 12)]);
    await db.query("UPDATE inventory.customers SET id = id + 10");
    opened.deliver();
    await opened.applied(await topic.send(move(12, 13)));
    await db.query("UPDATE inventory.customers SET id = 13 WHERE id = 12");
    await opened.applied(await topic.send(move(11, 1)));
    await db.query("UPDATE inventory.customers SET id = 1 WHERE id = 11");
    expect(await opened.rows("shop.customers")).toEqual(await opened.rows("inventory.customers"));
  });

  test("I6: a column that an update left out (TOAST) keeps its value, also when the row came in the same batch", async () => {
    await using opened = await bed.open("toast");
    const { db } = opened;
    const topic = await opened.topic("customers", customers);
    await db.query(customersSql);
    const [one, two] = [fullCustomer(1), fullCustomer(2)];
    await db.query(`INSERT INTO inventory.customers VALUES ${one.sql}, ${two.sql}, ${endlessCustomer(3).sql}`);
    const bytes = Buffer.from(unavailable);
    const leftOut = { bio: unavailable, photo: bytes, extra: unavailable, tags: [unavailable], nums: [...bytes] };
    await topic.send([
      { key: { id: 1 }, value: { op: "r", after: one.row } },
      created(two.row),
      updated({ ...one.row, ...leftOut, code: 7 }),
    ]);
    opened.deliver();
    await opened.applied(await topic.send([created(endlessCustomer(3).row)]));
    const last = await topic.send([
      updated({ ...two.row, ...leftOut, code: 8 }),
      updated({ ...one.row, ...leftOut, bio: "changed", code: 9 }),
      updated({ ...one.row, ...leftOut, code: 10, name: "again" }),
      updated({ ...endlessCustomer(3).row, ...leftOut, bio: null, code: 11 }),
    ]);
    await opened.applied(last);
    await db.query(`UPDATE inventory.customers SET code = 8 WHERE id = 2;
      UPDATE inventory.customers SET code = 10, name = 'again', bio = 'changed' WHERE id = 1;
      UPDATE inventory.customers SET code = 11, bio = NULL WHERE id = 3`);
    expect(await opened.rows("shop.customers")).toEqual(await opened.rows("inventory.customers"));
    expect(await opened.value("SELECT count(*) FROM datatrace._datatrace_rereads")).toBe("0");

    // Somebody's own text, in a row that came whole.
    const literal = { ...two.row, id: 4, bio: unavailable };
    await opened.applied(await topic.send([created(literal)]));
    expect(await opened.value("SELECT bio FROM shop.customers WHERE id = 4")).toBe(unavailable);
  });

  test("I6: a row that no event has whole (a new key, a column left out) is not made up: it waits as an open request", async () => {
    await using opened = await bed.open("half");
    const topic = await opened.topic("customers", customers);
    const { row } = fullCustomer(1);
    opened.deliver();
    await opened.applied(
      await topic.send([
        created(row),
        ...topic.removed({ id: 1 }, { ...unknownCustomer, id: 1 }, { "__debezium.newkey": '{"id":2}' }),
        {
          key: { id: 2 },
          value: { op: "c", after: { ...row, id: 2, bio: unavailable } },
          headers: { "__debezium.oldkey": '{"id":1}' },
        },
      ]),
    );
    expect(await opened.value("SELECT count(*) FROM shop.customers")).toBe("0");
    expect(await opened.value("SELECT count(*) FROM datatrace._datatrace_rereads")).toBe("1");
    // An update of that column, or a snapshot of Debezium's, has it.
    await opened.applied(await topic.send([{ key: { id: 2 }, value: { op: "r", after: { ...row, id: 2 } } }]));
    expect(await opened.value("SELECT id FROM shop.customers")).toBe(2);
    expect(await opened.value("SELECT count(*) FROM datatrace._datatrace_rereads")).toBe("0");
  });

  test("I5: of a connector with exactly-once support only what it has committed is applied, and only then", async () => {
    await using opened = await bed.open("transactions");
    const topic = await opened.topic("items", items);
    const producer = bed.servers.client.producer({ transactionalId: `${opened.prefix}.task`, maxInFlightRequests: 1 });
    await producer.connect();
    opened.deliver();
    const aborted = await producer.transaction();
    await topic.send([created({ id: 1 }), created({ id: 2 })], { through: aborted });
    await aborted.abort();
    const committed = await producer.transaction();
    await topic.send([created({ id: 3 }), created({ id: 4 })], { through: committed });
    expect(await opened.value("SELECT to_regclass('shop.items')")).toBeNull();
    await committed.commit();
    await opened.applied(await topic.send([created({ id: 5 })]));
    await producer.disconnect();
    expect(await opened.rows("shop.items")).toEqual(['{"id":"3"}', '{"id":"4"}', '{"id":"5"}']);
  });

  test("a new column of a later version of the table is added to the target", async () => {
    await using opened = await bed.open("versions");
    const { db } = opened;
    const first = await opened.topic("items", items);
    const later = {
      columns: [
        { name: "id", type: "int" },
        { name: "note", type: "string", optional: true },
      ],
      key: ["id"],
    };
    await db.query(
      "CREATE TABLE inventory.items (id int PRIMARY KEY, note text); INSERT INTO inventory.items VALUES (1, NULL), (2, 'b')",
    );
    await first.send([created({ id: 1 })]);
    const second = await opened.topic("items", later);
    opened.deliver();
    await opened.applied(await second.send([created({ id: 2, note: "b" })]));
    expect(await opened.rows("shop.items")).toEqual(await opened.rows("inventory.items"));
    expect(await opened.types("shop.items")).toEqual(["id integer", "note text"]);
  });
});

describe("modes of Debezium's connector other than the default", () => {
  test("I6: column.propagate.source.type gives the target the source's very types", async () => {
    await using opened = await bed.open("propagated");
    const { db } = opened;
    const columns: readonly DebeziumColumn[] = [
      { name: "id", type: { type: "long", "connect.parameters": propagated("BIGSERIAL", 19, 0) } },
      { name: "code", type: { type: "string", "connect.parameters": propagated("BPCHAR", 4, 0) } },
      { name: "name", type: { type: "string", "connect.parameters": propagated("VARCHAR", 50, 0) }, optional: true },
      { name: "bio", type: { type: "string", "connect.parameters": propagated("TEXT", 2_147_483_647, 0) } },
      { name: "price", type: decimal(10, 2, propagated("NUMERIC", 10, 2)) },
      { name: "opens", type: logical("int", "io.debezium.time.Time", propagated("TIME", 12, 3)) },
      { name: "seen", type: logical("long", "io.debezium.time.Timestamp", propagated("TIMESTAMP", 26, 3)) },
      { name: "made", type: logical("string", "io.debezium.time.ZonedTimestamp", propagated("TIMESTAMPTZ", 32, 3)) },
      { name: "extra", type: logical("string", "io.debezium.data.Json", propagated("JSONB", 2_147_483_647, 0)) },
      {
        name: "mood",
        type: logical("string", "io.debezium.data.Enum", {
          allowed: "sad,ok",
          ...propagated("MOOD", 2_147_483_647, 0),
        }),
      },
      {
        name: "tags",
        type: { type: "array", items: ["null", "string"], "connect.parameters": propagated("_TEXT", 2_147_483_647, 0) },
      },
    ];
    const topic = await opened.topic("typed", { columns, key: ["id"] });
    await db.query(`CREATE SCHEMA shop; CREATE TYPE inventory.mood AS ENUM ('sad', 'ok');
      CREATE TABLE inventory.typed (id bigint PRIMARY KEY, code char(4), name varchar(50), bio text, price numeric(10,2),
        opens time(3), seen timestamp(3), made timestamptz(3), extra jsonb, mood inventory.mood, tags text[]);
      INSERT INTO inventory.typed VALUES (1, 'ab', NULL, 'x', 1.5, '01:02:03.004', '2026-01-02 03:04:05.678',
        '2026-01-02 03:04:05.678Z', '{"b": 1}', 'ok', '{x}')`);
    const after = {
      id: 1n,
      code: "ab  ",
      name: null,
      bio: "x",
      price: unscaled(150n),
      opens: 3_723_004,
      seen: 1_767_323_045_678n,
      made: "2026-01-02T03:04:05.678Z",
      extra: '{"b": 1}',
      mood: "ok",
      tags: ["x"],
    };
    opened.deliver();
    await opened.applied(await topic.send([{ key: { id: 1n }, value: { op: "r", after } }]));
    expect(await opened.rows("shop.typed")).toEqual(await opened.rows("inventory.typed"));
    const types = await opened.types("inventory.typed");
    expect(await opened.types("shop.typed")).toEqual(types.map((line) => line.replace("inventory.", "shop.")));
  });

  test("I6: decimals as text or double, times as Connect's own types or in microseconds", async () => {
    await using opened = await bed.open("modes");
    const { db } = opened;
    const columns: readonly DebeziumColumn[] = [
      { name: "id", type: "int" },
      { name: "as_text", type: "string" },
      { name: "as_double", type: "double" },
      { name: "connect_date", type: connectTime("int", "Date", "date") },
      { name: "connect_time", type: connectTime("int", "Time", "time-millis") },
      { name: "connect_timestamp", type: connectTime("long", "Timestamp", "timestamp-millis"), optional: true },
      { name: "micro_time", type: logical("long", "io.debezium.time.MicroTime") },
      { name: "span", type: logical("long", "io.debezium.time.MicroDuration") },
      { name: "zoned", type: logical("string", "io.debezium.time.ZonedTime") },
      { name: "bits", type: logical("bytes", "io.debezium.data.Bits", { length: "9" }) },
      { name: "pairs", type: logical("string", "io.debezium.data.Json") },
      { name: "doc", type: logical("string", "io.debezium.data.Xml") },
    ];
    const topic = await opened.topic("modes", { columns, key: ["id"] });
    // What each is at the source can only be what Debezium makes of it: an interval of microseconds, bits as bytes.
    await db.query(`CREATE TABLE inventory.modes (id int PRIMARY KEY, as_text text, as_double float8, connect_date date,
        connect_time time(3), connect_timestamp timestamp(3), micro_time time(6), span bigint, zoned text, bits bytea,
        pairs json, doc text);
      INSERT INTO inventory.modes VALUES (1, '12345678901234567890.10', 1.1, '1969-12-31', '23:59:59.999',
        '1969-12-31 23:59:59.999', '00:00:00.001', 90000000, '01:02:03Z', '\\x0101', '{"a": "b"}', '<a/>')`);
    const after = {
      id: 1,
      as_text: "12345678901234567890.10",
      as_double: 1.1,
      connect_date: -1,
      connect_time: 86_399_999,
      connect_timestamp: -1n,
      micro_time: 1000n,
      span: 90_000_000n,
      zoned: "01:02:03Z",
      bits: Buffer.from([1, 1]),
      pairs: '{"a": "b"}',
      doc: "<a/>",
    };
    opened.deliver();
    await opened.applied(await topic.send([{ key: { id: 1 }, value: { op: "c", after } }]));
    expect(await opened.rows("shop.modes")).toEqual(await opened.rows("inventory.modes"));
    expect(await opened.types("shop.modes")).toEqual(await opened.types("inventory.modes"));
  });
});

describe("what cannot be delivered stops its table, with a code, and nothing is lost", () => {
  test("I3: a truncate: what was before it is there, what comes after it waits, the other tables go on, a restart changes nothing", async () => {
    await using opened = await bed.open("truncated");
    const topic = await opened.topic("items", items);
    const other = await opened.topic("others", items);
    opened.deliver();
    const [truncate] = await topic.send([created({ id: 1 }), created({ id: 2 }), { key: null, value: { op: "t" } }]);
    await topic.send([created({ id: 3 })]);
    expect(await opened.stopped("items")).toMatchObject({ code: "source.truncate_unsupported" });
    await opened.applied(await other.send([created({ id: 1 })]));
    await opened.stop();
    opened.deliver();
    expect(await opened.stopped("items")).toMatchObject({ code: "source.truncate_unsupported" });
    await opened.applied(await other.send([created({ id: 2 })]));
    expect(await opened.rows("shop.items")).toEqual(['{"id":"1"}', '{"id":"2"}']);
    expect(await opened.rows("shop.others")).toEqual(['{"id":"1"}', '{"id":"2"}']);
    expect(await opened.value(offsetSql(topic.topic))).toBe(String(truncate?.last));
  });

  test("I6: a column without a canonical kind, a table without a key", async () => {
    await using opened = await bed.open("refused");
    const point = {
      type: "record",
      name: "Point",
      namespace: "io.debezium.data.geometry",
      fields: [
        { name: "x", type: "double" },
        { name: "y", type: "double" },
      ],
      "connect.name": "io.debezium.data.geometry.Point",
    };
    const places = await opened.topic("places", { ...items, columns: [...items.columns, { name: "at", type: point }] });
    const keyless = await opened.topic("keyless", { ...items, key: [] });
    opened.deliver();
    await places.send([{ key: { id: 1 }, value: { op: "c", after: { id: 1, at: { x: 1, y: 2 } } } }]);
    await keyless.send([{ key: null, value: { op: "c", after: { id: 1 } } }]);
    expect(await opened.stopped("places")).toEqual({
      code: "log.schema_unsupported",
      message: expect.stringContaining("at") as string,
    });
    expect(await opened.stopped("keyless")).toMatchObject({ code: "source.table_without_key" });
    expect(await opened.value(offsetSql(places.topic))).toBe("0");
    expect(await opened.value(offsetSql(keyless.topic))).toBe("0");
  });
});

test("I3: records of a topic that is not ours are never deleted, however far our delivery is", async () => {
  await using opened = await bed.open("kept");
  const topic = await opened.topic("items", items);
  opened.deliver();
  const [last] = await topic.send([1, 2, 3].map((id) => created({ id })));
  await opened.applied(last === undefined ? [] : [last]);
  await opened.stop();
  await using log = await openKafkaEventLog({ brokers: bed.servers.brokers.split(","), keepAppliedMs: 0 });
  await waitFor(
    async () =>
      (await log.groupProgress(`${opened.prefix}.warehouse`)).some(({ next, end }) => next === end && end === 3n),
    { deadlineMs: 60_000, what: "the group to be told" },
  );
  await log.reclaim();
  expect(await log.bounds({ topic: topic.topic, partition: 0 })).toEqual({ earliest: 0n, end: 3n });
});
