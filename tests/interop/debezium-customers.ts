import { type AvscRow, unscaled } from "./avsc-row.ts";
import { type DebeziumColumn, decimal, logical, variableScaleDecimal } from "./debezium-schemas.ts";

/** A table of the source with the types that Debezium has, in its default modes. `flag` was bit(1), which is a boolean there. */
export const customersSql = `CREATE TYPE inventory.mood AS ENUM ('sad', 'ok');
  CREATE TABLE inventory.customers (
    id int PRIMARY KEY, code int2 NOT NULL, big int8, paid bool DEFAULT true, flag bool, price numeric(10,2) NOT NULL,
    free numeric, other numeric, ratio float4, score float8, name varchar(50) NOT NULL, bio text, photo bytea,
    born date, opens time(3), closes time(6), seen timestamp(3), changed timestamp(6), made timestamptz(6), ref uuid,
    extra jsonb, mood inventory.mood, tags text[], nums int4[])`;

export const customersColumns: readonly DebeziumColumn[] = [
  { name: "id", type: "int" },
  { name: "code", type: { type: "int", "connect.type": "int16" } },
  { name: "big", type: "long", optional: true },
  { name: "paid", type: "boolean", byDefault: true },
  { name: "flag", type: "boolean", optional: true },
  { name: "price", type: decimal(10, 2) },
  { name: "free", type: variableScaleDecimal, optional: true },
  { name: "other", type: "io.debezium.data.VariableScaleDecimal", optional: true },
  { name: "ratio", type: "float", optional: true },
  { name: "score", type: "double", optional: true },
  { name: "name", type: "string" },
  { name: "bio", type: "string", optional: true },
  { name: "photo", type: "bytes", optional: true },
  { name: "born", type: logical("int", "io.debezium.time.Date"), optional: true },
  { name: "opens", type: logical("int", "io.debezium.time.Time"), optional: true },
  { name: "closes", type: logical("long", "io.debezium.time.MicroTime"), optional: true },
  { name: "seen", type: logical("long", "io.debezium.time.Timestamp"), optional: true },
  { name: "changed", type: logical("long", "io.debezium.time.MicroTimestamp"), optional: true },
  { name: "made", type: logical("string", "io.debezium.time.ZonedTimestamp"), optional: true },
  { name: "ref", type: logical("string", "io.debezium.data.Uuid"), optional: true },
  { name: "extra", type: logical("string", "io.debezium.data.Json"), optional: true },
  { name: "mood", type: logical("string", "io.debezium.data.Enum", { allowed: "sad,ok" }), optional: true },
  { name: "tags", type: { type: "array", items: ["null", "string"] }, optional: true },
  { name: "nums", type: { type: "array", items: ["null", "int"] }, optional: true },
];

/** What a delete holds beside the key when the source has no old row: null, or the type's zero. */
export const unknownCustomer: AvscRow = {
  ...Object.fromEntries(customersColumns.map(({ name }) => [name, null])),
  code: 0,
  price: unscaled(0n),
  name: "",
};

/** The same row in both languages. */
export interface Customer {
  readonly sql: string;
  readonly row: AvscRow;
}

/** Every column has a value. */
export function fullCustomer(id: number): Customer {
  return {
    sql: `(${id}, -32768, 9223372036854775807, false, true, -12345678.90, 1234567890123456789012.5, -0.00128, 0.5, -1e-300,
      'Ada 漢 %', E'line\\n"quoted"', '\\x00ff5c', '0001-01-01', '12:34:56.789', '24:00:00', '2026-01-02 03:04:05.678',
      '1969-12-31 23:59:59.999999', '2026-01-02 05:04:05.678901+02', '1d8c5a4e-0000-4000-8000-000000000001',
      '{"a": [1, null, "é"]}', 'ok', ARRAY['a', NULL, '', '","'], ARRAY[1, -2147483648, NULL])`,
    row: {
      id,
      code: -32_768,
      big: 9_223_372_036_854_775_807n,
      paid: false,
      flag: true,
      price: unscaled(-1_234_567_890n),
      free: { scale: 1, value: unscaled(12_345_678_901_234_567_890_125n) },
      other: { scale: 5, value: unscaled(-128n) },
      ratio: 0.5,
      score: -1e-300,
      name: "Ada 漢 %",
      bio: 'line\n"quoted"',
      photo: Buffer.from("00ff5c", "hex"),
      born: -719_162,
      opens: 45_296_789,
      closes: 86_400_000_000n,
      seen: 1_767_323_045_678n,
      changed: -1n,
      made: "2026-01-02T03:04:05.678901Z",
      ref: "1d8c5a4e-0000-4000-8000-000000000001",
      extra: '{"a": [1, null, "é"]}',
      mood: "ok",
      tags: ["a", null, "", '","'],
      nums: [1, -2_147_483_648, null],
    },
  };
}

/** Every column that may be null is. */
export function emptyCustomer(id: number): Customer {
  const nulls = Array.from({ length: 13 }, () => "NULL").join(", ");
  return {
    sql: `(${id}, 0, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, '', ${nulls})`,
    row: { ...unknownCustomer, id },
  };
}

/** Times without an end, and floats that are no numbers. */
export function endlessCustomer(id: number): Customer {
  return {
    sql: `(${id}, 32767, -9223372036854775808, true, false, 0.01, 0, 100, 'NaN', '-Infinity', 'x', '', '', '9999-12-31',
      '00:00:00', '00:00:00.000001', '-infinity', 'infinity', 'infinity', NULL, '[]', 'sad', '{}', '{}')`,
    row: {
      ...unknownCustomer,
      id,
      code: 32_767,
      big: -9_223_372_036_854_775_808n,
      paid: true,
      flag: false,
      price: unscaled(1n),
      free: { scale: 0, value: unscaled(0n) },
      other: { scale: 0, value: unscaled(100n) },
      ratio: Number.NaN,
      score: Number.NEGATIVE_INFINITY,
      name: "x",
      bio: "",
      photo: Buffer.alloc(0),
      born: 2_932_896,
      opens: 0,
      closes: 1n,
      seen: -9_223_372_036_832_400_000n,
      changed: 9_223_372_036_825_200_000n,
      made: "infinity",
      extra: "[]",
      mood: "sad",
      tags: [],
      nums: [],
    },
  };
}
