import { type LogHeaders, SourceText, type StoredRecord, type TableSchema, UNCHANGED } from "@datatrace/core";
import { describe, expect, test } from "vitest";
import { avscType } from "@datatrace/testkit/avsc-type";
import { createEventDecoder, type DecodedEvent, type EventDecoderOptions } from "./event-decoder.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { tableFromAvro } from "./read-schemas.ts";

const at = { topic: "srv.inventory.customers", partition: 0 };
const key = JSON.stringify({
  type: "record",
  name: "Key",
  namespace: "srv.inventory.customers",
  fields: [{ name: "id", type: "int" }],
  "connect.name": "srv.inventory.customers.Key",
});

/** An envelope as another producer writes it; `columns` are the fields of its rows, `block` those of its source. */
function envelope(columns: readonly object[], block: readonly object[] = [{ name: "ts_ms", type: "long" }]): string {
  return JSON.stringify({
    type: "record",
    name: "Envelope",
    namespace: "srv.inventory.customers",
    fields: [
      { name: "before", type: ["null", { type: "record", name: "Value", fields: columns }], default: null },
      { name: "after", type: ["null", "Value"], default: null },
      { name: "source", type: { type: "record", name: "Source", namespace: "io.debezium", fields: block } },
      { name: "op", type: "string" },
      { name: "ts_ms", type: ["null", "long"], default: null },
    ],
    "connect.name": "srv.inventory.customers.Envelope",
  });
}

function logical(type: string, name: string, parameters: Record<string, string> = {}): object {
  return { type, "connect.version": 1, "connect.parameters": parameters, "connect.name": name };
}

function source(type: string, length?: number, scale?: number): Record<string, string> {
  return {
    "__debezium.source.column.type": type,
    ...(length === undefined ? {} : { "__debezium.source.column.length": String(length) }),
    ...(scale === undefined ? {} : { "__debezium.source.column.scale": String(scale) }),
  };
}

const variableScale = {
  type: "record",
  name: "VariableScaleDecimal",
  namespace: "io.debezium.data",
  fields: [
    { name: "scale", type: "int" },
    { name: "value", type: "bytes" },
  ],
  "connect.name": "io.debezium.data.VariableScaleDecimal",
};

async function decode(
  value: string,
  body: object,
  options?: EventDecoderOptions,
  headers?: LogHeaders,
): Promise<DecodedEvent> {
  return await decodeBytes(value, avscType(value).toBuffer(body), options, headers);
}

function framed(id: number, part: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0, 0, 0, 0, id]), part]);
}

async function decodeBytes(
  value: string,
  bytes: Buffer,
  options?: EventDecoderOptions,
  headers: LogHeaders = {},
): Promise<DecodedEvent> {
  const registry = new MemoryRegistry();
  const record: StoredRecord = {
    offset: 0n,
    key: framed(await registry.register("", key), avscType(key).toBuffer({ id: 5 })),
    value: framed(await registry.register("", value), bytes),
    headers,
  };
  return await createEventDecoder(registry, options).decode(record, at);
}

describe("a table that Debezium described", () => {
  const columns = [
    { name: "id", type: { type: "int", "connect.parameters": source("SERIAL", 10, 0) } },
    { name: "small", type: { type: "int", "connect.type": "int16", "connect.parameters": source("INT2", 5, 0) } },
    { name: "name", type: { type: "string", "connect.parameters": source("VARCHAR", 50, 0) } },
    {
      name: "bio",
      type: ["null", { type: "string", "connect.parameters": source("TEXT", 2_147_483_647, 0) }],
      default: null,
    },
    {
      name: "price",
      type: {
        type: "bytes",
        scale: 2,
        precision: 10,
        "connect.version": 1,
        "connect.parameters": { scale: "2", "connect.decimal.precision": "10", ...source("NUMERIC", 10, 2) },
        "connect.name": "org.apache.kafka.connect.data.Decimal",
        logicalType: "decimal",
      },
    },
    { name: "free", type: ["null", variableScale], default: null },
    { name: "other", type: ["null", "io.debezium.data.VariableScaleDecimal"], default: null },
    { name: "born", type: logical("int", "io.debezium.time.Date") },
    { name: "opens", type: logical("int", "io.debezium.time.Time", source("TIME", 15, 3)) },
    { name: "closes", type: logical("long", "io.debezium.time.MicroTime", source("TIME", 15, 6)) },
    { name: "seen", type: logical("long", "io.debezium.time.Timestamp", source("TIMESTAMP", 29, 3)) },
    { name: "changed", type: logical("long", "io.debezium.time.MicroTimestamp", source("TIMESTAMP", 29, 6)) },
    { name: "made", type: logical("string", "io.debezium.time.ZonedTimestamp", source("TIMESTAMPTZ", 35, 6)) },
    { name: "ref", type: logical("string", "io.debezium.data.Uuid", source("UUID")) },
    { name: "extra", type: logical("string", "io.debezium.data.Json", source("JSONB")) },
    { name: "mood", type: logical("string", "io.debezium.data.Enum", { allowed: "sad,ok", ...source("MOOD") }) },
    { name: "flag", type: [{ type: "boolean", "connect.default": true }, "null"], default: true },
    { name: "tags", type: { type: "array", items: ["null", "string"], "connect.parameters": source("_TEXT") } },
  ];
  const described: TableSchema = {
    name: { schema: "inventory", table: "customers" },
    key: [0],
    columns: [
      { name: "id", type: { kind: "int32" }, native: { name: "serial" }, nullable: false },
      { name: "small", type: { kind: "int16" }, native: { name: "int2" }, nullable: false },
      { name: "name", type: { kind: "string", length: 50 }, native: { name: "varchar", length: 50 }, nullable: false },
      { name: "bio", type: { kind: "string" }, native: { name: "text" }, nullable: true },
      {
        name: "price",
        type: { kind: "decimal", precision: 10, scale: 2 },
        native: { name: "numeric", length: 10, scale: 2 },
        nullable: false,
      },
      { name: "free", type: { kind: "decimal" }, native: { name: "" }, nullable: true },
      { name: "other", type: { kind: "decimal" }, native: { name: "" }, nullable: true },
      { name: "born", type: { kind: "date" }, native: { name: "" }, nullable: false },
      { name: "opens", type: { kind: "time", precision: 3 }, native: { name: "time", length: 3 }, nullable: false },
      { name: "closes", type: { kind: "time", precision: 6 }, native: { name: "time" }, nullable: false },
      {
        name: "seen",
        type: { kind: "timestamp", precision: 3 },
        native: { name: "timestamp", length: 3 },
        nullable: false,
      },
      { name: "changed", type: { kind: "timestamp", precision: 6 }, native: { name: "timestamp" }, nullable: false },
      { name: "made", type: { kind: "timestamptz", precision: 6 }, native: { name: "timestamptz" }, nullable: false },
      { name: "ref", type: { kind: "uuid" }, native: { name: "uuid" }, nullable: false },
      { name: "extra", type: { kind: "json" }, native: { name: "jsonb" }, nullable: false },
      { name: "mood", type: { kind: "enum", values: ["sad", "ok"] }, native: { name: "mood" }, nullable: false },
      { name: "flag", type: { kind: "boolean" }, native: { name: "" }, nullable: true },
      {
        name: "tags",
        type: { kind: "array", element: { kind: "string" } },
        native: { name: "_text" },
        nullable: false,
      },
    ],
  };
  const row = {
    id: 5,
    small: -3,
    name: "Ada",
    bio: null,
    price: Buffer.from([0xfb, 0x2e]),
    free: { scale: 3, value: Buffer.from([0x05]) },
    other: { scale: -2, value: Buffer.from([0x05]) },
    born: -1,
    opens: 86_400_000,
    closes: 86_400_000_000n,
    seen: -1n,
    changed: 9_223_372_036_825_200_000n,
    made: "2026-01-02T03:04:05.5Z",
    ref: "1d8c5a4e-0000-4000-8000-000000000001",
    extra: "{}",
    mood: "ok",
    flag: false,
    tags: ["a", null],
  };
  const cells = [
    5,
    -3,
    "Ada",
    null,
    "-12.34",
    "0.005",
    "500",
    -1,
    86_400_000_000,
    86_400_000_000,
    -1000,
    new SourceText("infinity"),
    "2026-01-02T03:04:05.500000Z",
    "1d8c5a4e-0000-4000-8000-000000000001",
    "{}",
    "ok",
    false,
    ["a", null],
  ];

  test("its types are derived from connect.name and the parameters", () => {
    expect(tableFromAvro(key, envelope(columns))).toEqual(described);
  });

  test("its rows are read into the same forms, the default's union order too", async () => {
    const body = { before: null, after: row, source: { ts_ms: 1_700_000_000_123n }, op: "c", ts_ms: null };
    expect(await decode(envelope(columns), body)).toMatchObject({
      schema: described,
      key: [5],
      after: cells,
      // A version of Debezium without ts_us.
      tsUs: 1_700_000_000_123_000,
      txId: null,
      lsn: null,
      snapshot: "false",
    });
  });

  test("blocks of a negative count, with their size in bytes, are read", async () => {
    const value = envelope([
      { name: "id", type: "int" },
      { name: "tags", type: { type: "array", items: ["null", "string"] } },
    ]);
    // before null, after: id 5, tags: -1 items in 3 bytes, 1 item, end; ts_ms 0; op "c"; ts_ms null.
    const bytes = Buffer.from("00 02 0a 01 06 02 02 61 02 02 02 62 00 00 02 63 00".replaceAll(" ", ""), "hex");
    expect(await decodeBytes(value, bytes)).toMatchObject({ after: [5, ["a", "b"]] });
  });
});

function eventOf(op: string, before: object | null): object {
  return { before, after: null, source: { ts_ms: 0n }, op, ts_ms: null };
}

test("an enum whose type Debezium does not name is named for its column", () => {
  const mood = logical("string", "io.debezium.data.Enum", { allowed: "sad,ok" });
  const value = envelope([
    { name: "id", type: "int" },
    { name: "mood", type: ["null", mood] },
    { name: "moods", type: { type: "array", items: ["null", mood] } },
  ]);
  const type = { kind: "enum", values: ["sad", "ok"] };
  expect(tableFromAvro(key, value).columns.slice(1)).toEqual([
    { name: "mood", type, native: { name: "mood_enum" }, nullable: true },
    { name: "moods", type: { kind: "array", element: type }, native: { name: "_moods_enum" }, nullable: false },
  ]);
});

describe("what cannot be read is refused by name", () => {
  const columns = [{ name: "id", type: "int" }];
  test("a column of a record that has no canonical kind", async () => {
    const point = { type: "record", name: "Point", fields: [{ name: "x", type: "double" }] };
    const value = envelope([...columns, { name: "place", type: point }]);
    const event = { before: null, after: { id: 5, place: { x: 1 } }, source: { ts_ms: 0n }, op: "c", ts_ms: null };
    await expect(decode(value, event)).rejects.toMatchObject({
      code: "log.schema_unsupported",
      detail: { ...at, offset: "0", what: expect.stringContaining("place") as string },
    });
  });

  test("a value that is no envelope", () => {
    const flat = JSON.stringify({ type: "record", name: "Value", fields: columns });
    expect(() => tableFromAvro(null, flat)).toThrow(
      expect.objectContaining({ code: "log.schema_unsupported" }) as Error,
    );
    expect(() => tableFromAvro(null, "{")).toThrow(
      expect.objectContaining({ code: "log.schema_unsupported" }) as Error,
    );
  });

  test("a key column that the rows do not have", () => {
    const value = envelope([{ name: "other", type: "int" }]);
    expect(() => tableFromAvro(key, value)).toThrow(
      expect.objectContaining({ code: "log.schema_unsupported" }) as Error,
    );
  });

  test.each([
    ["t", "source.truncate_unsupported"],
    ["m", "log.schema_unsupported"],
    ["?", "log.corrupt"],
  ])("operation %s is %s", async (op, code) => {
    await expect(decode(envelope(columns), eventOf(op, null))).rejects.toMatchObject({ code });
  });

  test("an operation without its row", async () => {
    await expect(decode(envelope(columns), eventOf("c", null))).rejects.toMatchObject({ code: "log.corrupt" });
    await expect(decode(envelope(columns), eventOf("d", null))).rejects.toMatchObject({ code: "log.corrupt" });
    const both = { ...eventOf("d", { id: 5 }), after: { id: 5 } };
    await expect(decode(envelope(columns), both)).rejects.toMatchObject({ code: "log.corrupt" });
    expect(await decode(envelope(columns), eventOf("d", { id: 5 }))).toMatchObject({ before: [5], after: null });
  });
});

test("whatever stands in the envelope beside what is read is passed over", async () => {
  const any = [
    { name: "f", type: { type: "fixed", name: "F", size: 3 } },
    { name: "e", type: { type: "enum", name: "E", symbols: ["A", "B"] } },
    { name: "m", type: { type: "map", values: ["null", "string"] } },
    { name: "a", type: { type: "array", items: "double" } },
    { name: "b", type: "boolean" },
    { name: "g", type: "float" },
    { name: "y", type: "bytes" },
    { name: "again", type: ["null", "F"] },
    { name: "ts_ms", type: "long" },
    { name: "lsn", type: ["null", "long"] },
    { name: "snapshot", type: ["string", "null"] },
  ];
  const value = envelope([{ name: "id", type: "int" }], any);
  const body = {
    before: { id: 4 },
    after: { id: 5 },
    source: {
      f: Buffer.from("abc"),
      e: "B",
      m: { x: "y", z: null },
      a: [1, 2],
      b: true,
      g: 1,
      y: Buffer.from("bytes"),
      again: Buffer.from("def"),
      ts_ms: 12n,
      lsn: 2n ** 60n,
      snapshot: null,
    },
    op: "u",
    ts_ms: 99n,
  };
  expect(await decode(value, body, { withBefore: true })).toMatchObject({
    before: [4],
    after: [5],
    tsUs: 12_000,
    lsn: 2n ** 60n,
    snapshot: "false",
  });
});

test("Debezium's infinite timestamps are the source's text, in our own topics the numbers they are", async () => {
  const millis = logical("long", "io.debezium.time.Timestamp");
  const micros = logical("long", "io.debezium.time.MicroTimestamp");
  const declared = logical("long", "io.debezium.time.MicroTimestamp", { "datatrace.type": "timestamp(6)" });
  const id = { name: "id", type: "int" };
  const foreign = envelope([id, { name: "ms", type: millis }, { name: "us", type: micros }]);
  const own = envelope([id, { name: "us", type: declared }]);
  const body = {
    before: null,
    after: { id: 5, ms: -9_223_372_036_832_400_000n, us: 9_223_372_036_825_200_000n },
    source: { ts_ms: 0n },
    op: "c",
    ts_ms: null,
  };
  const texts = [new SourceText("-infinity"), new SourceText("infinity")];
  expect(await decode(foreign, body)).toMatchObject({ after: [5, ...texts] });
  expect(await decode(own, body)).toMatchObject({ after: [5, 9_223_372_036_825_200_000n] });
});

describe("a column that Debezium's update left out", () => {
  const unavailable = "__debezium_unavailable_value";
  const bytes = Buffer.from(unavailable);
  const longs = [...bytes].map((byte) => BigInt(byte));
  const uuid = "b68a35a7-17ad-35b3-af2a-ae46edb4545a";
  const arrays = {
    texts: { items: "string", value: [unavailable] },
    blobs: { items: "bytes", value: [bytes] },
    ints: { items: "int", value: [...bytes] },
    smalls: { items: { type: "int", "connect.type": "int16" }, value: [...bytes] },
    longs: { items: "long", value: longs },
    dates: { items: logical("int", "io.debezium.time.Date"), value: [...bytes] },
    uuids: { items: logical("string", "io.debezium.data.Uuid"), value: [uuid] },
  };
  const columns = [
    { name: "id", type: "int" },
    { name: "note", type: ["null", "string"] },
    { name: "extra", type: ["null", logical("string", "io.debezium.data.Json")] },
    { name: "pairs", type: ["null", logical("string", "io.debezium.data.Json")] },
    { name: "photo", type: ["null", "bytes"] },
    ...Object.entries(arrays).map(([name, { items }]) => ({ name, type: { type: "array", items: ["null", items] } })),
  ];
  const leftOut = {
    id: 5,
    note: unavailable,
    extra: unavailable,
    pairs: `{"${unavailable}":"${unavailable}"}`,
    photo: bytes,
    ...Object.fromEntries(Object.entries(arrays).map(([name, { value }]) => [name, value])),
  };

  const all = columns.slice(1).map(() => UNCHANGED);

  function event(op: string): object {
    return { before: null, after: leftOut, source: { ts_ms: 0n }, op, ts_ms: null };
  }

  test("I6: is known by the placeholder of each type, and not by its neighbours", async () => {
    expect(await decode(envelope(columns), event("u"))).toMatchObject({ partial: true, after: [5, ...all] });
    const near = {
      ...leftOut,
      note: `${unavailable} `,
      extra: "{}",
      pairs: null,
      photo: Buffer.from(`${unavailable}.`),
      ints: [...bytes, 1],
      texts: [unavailable, unavailable],
      uuids: [],
      blobs: [bytes],
    };
    const decoded = await decode(envelope(columns), { ...event("u"), after: near });
    const cells = decoded.kind === "change" ? (decoded.after ?? []) : [];
    const names = columns.map(({ name }) => name);
    expect(names.filter((_, index) => cells[index] === UNCHANGED)).toEqual(["blobs", "smalls", "longs", "dates"]);
  });

  test("I6: of a key change too, but never of an insert, a snapshot row or a delete, which hold all there is", async () => {
    const moved = await decode(envelope(columns), event("c"), {}, { "__debezium.oldkey": '{"id":4}' });
    expect(moved).toMatchObject({ partial: true, after: [5, ...all] });
    const two = envelope(columns.slice(0, 2));
    for (const op of ["c", "r"]) {
      expect(await decode(two, event(op))).toMatchObject({ partial: false, after: [5, unavailable] });
    }
    const deleted = { ...event("d"), before: leftOut, after: null };
    expect(await decode(two, deleted)).toMatchObject({ partial: false, before: [5, unavailable] });
  });

  test("I6: is no column of the key, and none of our own topics, where a header says it", async () => {
    const keyed = JSON.parse(key) as { fields: object[] };
    const textKey = JSON.stringify({ ...keyed, fields: [{ name: "note", type: "string" }] });
    const value = envelope([columns[1] as object]);
    const registry = new MemoryRegistry();
    const record: StoredRecord = {
      offset: 0n,
      key: framed(await registry.register("", textKey), avscType(textKey).toBuffer({ note: unavailable })),
      value: framed(
        await registry.register("", value),
        avscType(value).toBuffer({ ...event("u"), after: { note: unavailable } }),
      ),
      headers: {},
    };
    expect(await createEventDecoder(registry).decode(record, at)).toMatchObject({
      partial: false,
      after: [unavailable],
    });
    const own = envelope([
      { name: "id", type: "int" },
      { name: "note", type: { type: "string", "connect.parameters": { "datatrace.type": "string" } } },
      { name: "number", type: { type: "int", "connect.parameters": { "datatrace.type": "int32" } } },
    ]);
    const row = { id: 5, note: unavailable, number: 1 };
    const noted = { ...event("u"), after: row };
    expect(await decode(own, noted)).toMatchObject({ partial: false, after: [5, unavailable, 1] });
    expect(await decode(own, noted, {}, { "datatrace.unchanged": "number" })).toMatchObject({
      partial: true,
      after: [5, unavailable, UNCHANGED],
    });
  });
});
