import { readFileSync } from "node:fs";
import { join } from "node:path";
import { avroFromTable, createEventEncoder, type EventChange, partitionOfKey } from "@datatrace/avro";
import { avscType } from "@datatrace/testkit/avsc-type";
import { type Row, SourceText, UNCHANGED } from "@datatrace/core";
import { describe, expect, test } from "vitest";
import { type AvscRow, unscaled } from "./avsc-row.ts";
import { ordersColumns, ordersWithDefaults } from "./debezium-orders.ts";
import { decimal, envelopeSchema, keySchema, propagated } from "./debezium-schemas.ts";
import { change } from "./expected-event.ts";
import { postgresDescriptor, publishedTable, publishedTopic } from "./published-table.ts";
import { type SchemaDifference, schemaDifferences } from "./schema-differences.ts";

const ours = avroFromTable({ topic: publishedTopic, schema: publishedTable, descriptor: postgresDescriptor });
const page = readFileSync(join(import.meta.dirname, "..", "..", "schemas", "README.md"), "utf8");

/** Everything in which our topics are not those of Debezium's connector with its default settings. Each has its case below. */
const deliberate = {
  parameters: "parameters of our own",
  types: "the source's types are always propagated",
  keyTypes: "key schemas never have the source's types",
  defaults: "no defaults of columns",
  keys: "keys are canonical",
  placement: "a new schema id moves no key",
  headers: "no headers that name the connector",
  zeros: "zeros at the end of a numeric without a scale are kept",
  infinity: "an infinite timestamp or date is text",
  notANumber: "a NaN in a sized numeric is text",
} as const;

test("each deliberate difference is on the page, and none is there that has no case here", () => {
  const [, section = ""] = page.split("### What is not Debezium's");
  const listed = [...section.matchAll(/^- \*\*(.+?)\*\*/gm)].map(([, name = ""]) => name);
  expect(listed.toSorted()).toEqual(Object.values(deliberate).toSorted());
});

function recordOf(fields: readonly unknown[]): object {
  return { type: "record", name: "Envelope", fields };
}

const sourceType = "connect.parameters/__debezium.source.column.";

/** The deliberate difference that this one is. */
function reasonOf({ at, property, theirs }: SchemaDifference): string | null {
  if (property.startsWith("connect.parameters/datatrace.") && theirs === undefined) return deliberate.parameters;
  if (property.startsWith(sourceType) && theirs === undefined) return deliberate.types;
  const isDefault = ["default", "connect.default", "branches"].includes(property);
  return isDefault && ["before.quantity", "before.note"].includes(at) ? deliberate.defaults : null;
}

describe("the schema of our envelope and that of Debezium's", () => {
  test("names, order, types, defaults and Connect's properties differ where it is deliberate, and nowhere else", () => {
    const theirs = envelopeSchema(publishedTopic, ordersWithDefaults);
    const found = schemaDifferences(JSON.parse(ours.value), theirs);
    expect(found.filter((difference) => reasonOf(difference) === null)).toEqual([]);
    const { parameters, types, defaults } = deliberate;
    expect(new Set(found.map(reasonOf))).toEqual(new Set([parameters, types, defaults]));
    expect(found.filter((difference) => reasonOf(difference) === defaults)).toHaveLength(5);
  });

  test("the key is Debezium's, with nothing added and nothing left out", () => {
    const columns = ordersColumns.slice(0, 3);
    expect(schemaDifferences(JSON.parse(ours.key ?? "null"), keySchema(publishedTopic, columns))).toEqual([]);
  });

  test(`the key: ${deliberate.keyTypes}`, () => {
    const columns = [
      { name: "id", type: { type: "long", "connect.parameters": propagated("INT8", 19, 0) } },
      { name: "region", type: { type: "string", "connect.parameters": propagated("BPCHAR", 2, 0) } },
      { name: "part", type: decimal(8, 2, propagated("NUMERIC", 8, 2)) },
    ];
    const found = schemaDifferences(JSON.parse(ours.key ?? "null"), keySchema(publishedTopic, columns));
    expect(found).toHaveLength(9);
    expect(found.filter((one) => !one.property.startsWith(sourceType) || one.ours !== undefined)).toEqual([]);
  });

  test.each([
    ["a field's name", { name: "op_", at: "" }],
    ["a type", { name: "op", type: "bytes" }],
    ["a default", { name: "op", type: "string", default: "c" }],
    ["a property of a type", { name: "op", type: { type: "string", "connect.name": "x" } }],
    ["a parameter", { name: "op", type: { type: "string", "connect.parameters": { allowed: "c" } } }],
    ["a union's order", { name: "op", type: ["string", "null"] }],
  ])("%s is seen as a difference", (_, field) => {
    const plain = { name: "op", type: "string" };
    expect(schemaDifferences(recordOf([field]), recordOf([plain]))).not.toEqual([]);
    expect(schemaDifferences(recordOf([plain, field]), recordOf([field, plain]))).not.toEqual([]);
    const nullable = { name: "op", type: ["null", "string"] };
    expect(schemaDifferences(recordOf([field]), recordOf([nullable]))).not.toEqual([]);
    expect(schemaDifferences(recordOf([plain]), recordOf([plain]))).toEqual([]);
  });
});

const row: Row = [
  7,
  "eu",
  "1.50",
  3,
  -2,
  true,
  0.5,
  -0.25,
  "-12.34",
  "0.00128",
  "100",
  "a@b.example",
  null,
  new Uint8Array([0, 255]),
  -1,
  45_296_789_000,
  86_400_000_000,
  1_767_323_045_678_000,
  1_767_323_045_678_901,
  "2026-01-02T03:04:05.678901Z",
  "1d8c5a4e-0000-4000-8000-000000000001",
  '{"a": 1}',
  "ok",
  ["x", null],
  null,
];

/** The same row as Debezium's schema has it. */
const datum: AvscRow = {
  id: 7n,
  region: "eu",
  part: unscaled(150n),
  quantity: 3,
  rank: -2,
  paid: true,
  weight: 0.5,
  ratio: -0.25,
  total: unscaled(-1234n),
  rate: { scale: 5, value: unscaled(128n) },
  fee: { scale: 0, value: unscaled(100n) },
  email: "a@b.example",
  note: null,
  photo: Buffer.from([0, 255]),
  due: -1,
  opens: 45_296_789,
  closes: 86_400_000_000n,
  seen: 1_767_323_045_678n,
  changed: 1_767_323_045_678_901n,
  placed: "2026-01-02T03:04:05.678901Z",
  ref: "1d8c5a4e-0000-4000-8000-000000000001",
  extra: '{"a": 1}',
  mood: "ok",
  tags: ["x", null],
  my_col: null,
};

const encoder = createEventEncoder({
  schema: publishedTable,
  descriptor: postgresDescriptor,
  version: "3.6.1.Final",
  prefix: "shop",
  keySchemaId: 1,
  valueSchemaId: 2,
});
const envelopeType = avscType(JSON.stringify(envelopeSchema(publishedTopic, ordersColumns)));
const keyType = avscType(JSON.stringify(keySchema(publishedTopic, ordersColumns.slice(0, 3))));

/** The event that Debezium writes of `expected-event.ts`'s transaction. */
function debeziumEvent(op: string, before: AvscRow | null, after: AvscRow | null, snapshot: string): AvscRow {
  return {
    before,
    after,
    source: {
      version: "3.6.1.Final",
      connector: "postgresql",
      name: "shop",
      ts_ms: 1_767_323_045_678n,
      snapshot,
      db: "shop",
      sequence: '["24023119",null]',
      ts_us: 1_767_323_045_678_901n,
      ts_ns: 1_767_323_045_678_901_000n,
      schema: "public",
      table: "orders",
      txId: 4_294_967_295n,
      lsn: 2n ** 62n,
      xmin: null,
      origin: null,
      origin_lsn: null,
    },
    transaction: null,
    op,
    ts_ms: 1_767_323_046_000n,
    ts_us: 1_767_323_046_000_001n,
    ts_ns: 1_767_323_046_000_001_000n,
  };
}

function keyOnly(cells: Row): Row {
  return cells.map((cell, at) => (at < 3 ? cell : null));
}

/** Debezium's delete under REPLICA IDENTITY DEFAULT: null, or the type's zero where the column is required. */
const unknown: AvscRow = {
  ...Object.fromEntries(ordersColumns.map(({ name }) => [name, null])),
  id: 7n,
  region: "eu",
  part: unscaled(150n),
  quantity: 0,
  paid: false,
  fee: { scale: 0, value: unscaled(0n) },
  changed: 0n,
  placed: "1970-01-01T00:00:00.000000Z",
};

/** Cells of the row in the place of others, by column name. */
function changedRow(cells: Readonly<Record<string, Row[number]>>): Row {
  return publishedTable.columns.map(({ name }, at) => (name in cells ? (cells[name] ?? null) : (row[at] ?? null)));
}

describe("our records and Debezium's", () => {
  test.each<readonly [string, EventChange, AvscRow]>([
    ["an insert", change({ after: row }), debeziumEvent("c", null, datum, "false")],
    [
      "a snapshot row",
      change({ op: "r", after: row, snapshot: "incremental" }),
      debeziumEvent("r", null, datum, "incremental"),
    ],
    ["an update without the old row", change({ op: "u", after: row }), debeziumEvent("u", null, datum, "false")],
    ["an update with it", change({ op: "u", before: row, after: row }), debeziumEvent("u", datum, datum, "false")],
    ["a delete with the old row", change({ op: "d", before: row }), debeziumEvent("d", datum, null, "false")],
    [
      "an update that left a column out",
      change({ op: "u", after: changedRow({ note: UNCHANGED, photo: UNCHANGED, tags: UNCHANGED }) }),
      debeziumEvent(
        "u",
        null,
        {
          ...datum,
          note: "__debezium_unavailable_value",
          photo: Buffer.from("__debezium_unavailable_value"),
          tags: ["__debezium_unavailable_value"],
        },
        "false",
      ),
    ],
  ])("%s: the same bytes", (_, one, theirs) => {
    const { key, value, headers } = encoder.encode(one);
    expect(Object.keys(headers).filter((header) => header.startsWith("__debezium"))).toEqual([]);
    expect(value.subarray(5)).toEqual(envelopeType.toBuffer(theirs));
    expect(key?.subarray(5)).toEqual(keyType.toBuffer({ id: 7n, region: "eu", part: unscaled(150n) }));
    expect([value.readUInt8(0), value.readInt32BE(1), key?.readUInt8(0), key?.readInt32BE(1)]).toEqual([0, 2, 0, 1]);
  });

  /** Where the values are not Debezium's. */
  const others: readonly {
    readonly name: string;
    readonly change: EventChange;
    readonly debezium: AvscRow;
    readonly ours: AvscRow;
    readonly headers?: Readonly<Record<string, string>>;
  }[] = [
    {
      name: deliberate.zeros,
      change: change({ after: changedRow({ rate: "1.500" }) }),
      debezium: { ...datum, rate: { scale: 1, value: unscaled(15n) } },
      ours: { ...datum, rate: { scale: 3, value: unscaled(1500n) } },
    },
    {
      name: deliberate.infinity,
      change: change({ after: changedRow({ seen: new SourceText("infinity"), due: new SourceText("-infinity") }) }),
      debezium: { ...datum, seen: 9_223_372_036_825_200_000n },
      ours: { ...datum, seen: null, due: null },
      headers: { "datatrace.text.seen": "infinity", "datatrace.text.due": "-infinity" },
    },
    {
      name: deliberate.notANumber,
      change: change({ after: changedRow({ total: new SourceText("NaN") }) }),
      // An exception in the mode `precise`: there is no record.
      debezium: {},
      ours: { ...datum, total: null },
      headers: { "datatrace.text.total": "NaN" },
    },
  ];

  test.each(others)("$name", ({ change: one, debezium, ours: expected, headers = {} }) => {
    const event = encoder.encode(one);
    const found = envelopeType.fromBuffer(event.value.subarray(5)) as { readonly after: object };
    expect({ ...found.after }).toEqual(expected);
    expect({ ...found.after }).not.toEqual(debezium);
    expect(event.headers).toEqual(headers);
  });

  test(`${deliberate.keys}; ${deliberate.headers}`, () => {
    const { key, headers } = encoder.encode(change({ after: changedRow({ region: "e " }) }));
    expect(keyType.fromBuffer(key?.subarray(5) ?? Buffer.alloc(0))).toMatchObject({ region: "e" });
    // Debezium's has three: `__debezium.context.connectorLogicalName`, `.taskId`, `.connectorName`.
    expect(headers).toEqual({});
  });

  test(`I4: ${deliberate.placement}`, () => {
    const { key } = encoder.encode(change({ after: row }));
    const later = Buffer.from(key ?? []);
    later.writeInt32BE(3, 1);
    const partitions = Array.from({ length: 16 }, (_, at) => at + 1);
    expect(partitions.map((count) => partitionOfKey(later, count))).toEqual(
      partitions.map((count) => partitionOfKey(key ?? Buffer.alloc(5), count)),
    );
    // Kafka's own producers take the whole key.
    const whole = (bytes: Buffer) =>
      partitions.map((count) => partitionOfKey(Buffer.concat([Buffer.alloc(5), bytes]), count));
    expect(whole(later)).not.toEqual(whole(key ?? Buffer.alloc(5)));
  });

  test("a delete without the old row: the key, null, and zeros where a column is required", () => {
    const { value } = encoder.encode(change({ op: "d", before: keyOnly(row) }));
    const found = envelopeType.fromBuffer(value.subarray(5)) as { readonly before: object };
    expect({ ...found.before }).toEqual(unknown);
  });
});
