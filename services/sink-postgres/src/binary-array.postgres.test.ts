import { SourceText } from "@datatrace/core";
import type { CanonicalType, Row, UNCHANGED, Value } from "@datatrace/core";
import { BindMessage, textEncoder } from "@datatrace/postgres";
import { availablePostgres, testPostgres } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { arrayLiteral } from "./array-literal.ts";
import { binaryColumn } from "./binary-array.ts";
import type { BinaryColumn } from "./binary-array.ts";
import { PostgresBed } from "./postgres-bed.ts";
import type { TargetType } from "./target-catalog.ts";

function builtin(name: string): TargetType {
  return { schema: "pg_catalog", name, kind: "b", labels: null };
}

/** The parameter alone; null when there is no binary form. */
function parameterOf(binary: BinaryColumn | null, column: readonly Value[]): Buffer | null {
  // Small, so that it has to grow.
  const message = new BindMessage("", 1, 1);
  message.beginParameter();
  const start = message.at;
  const rows = column.map((cell): Row => [cell]);
  return binary?.(message, rows, 0) === true ? message.buffer.subarray(start, message.at) : null;
}

const digits = (least: number, most: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom("0", "0", "1", "9"), minLength: least, maxLength: most });
const decimal = fc
  .tuple(fc.boolean(), digits(1, 30), digits(0, 30))
  .map(([minus, whole, part]) => `${minus ? "-" : ""}${whole}${part === "" ? "" : `.${part}`}`);
// PostgreSQL's text has no U+0000.
const text = fc.string({ unit: "binary", maxLength: 60 }).map((value) => value.toWellFormed().replaceAll("\0", ""));
const safe = fc.maxSafeInteger();
const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const integer = fc.oneof(
  safe,
  long.map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : value)),
);
const timestamps = fc
  .bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n })
  .map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : value));
const instant = fc
  .tuple(
    fc.date({ min: new Date("0001-01-01T00:00:00Z"), max: new Date("9999-12-31T23:59:59Z"), noInvalidDate: true }),
    fc.integer({ min: 0, max: 999 }),
  )
  .map(([date, us]) => `${date.toISOString().slice(0, -1)}${String(us).padStart(3, "0")}Z`);
const float32 = fc.float().filter((value) => !Number.isNaN(value));

const types: readonly (readonly [
  target: string,
  type: CanonicalType,
  values: fc.Arbitrary<Exclude<Value, typeof UNCHANGED>>,
])[] = [
  ["bool", { kind: "boolean" }, fc.boolean()],
  ["int2", { kind: "int16" }, fc.integer({ min: -32_768, max: 32_767 })],
  ["int8", { kind: "int32" }, fc.integer()],
  ["int8", { kind: "int64" }, integer],
  ["float4", { kind: "float32" }, float32],
  ["float8", { kind: "float64" }, fc.double()],
  ["numeric", { kind: "decimal" }, decimal],
  ["text", { kind: "string" }, text],
  ["varchar", { kind: "string" }, text],
  ["bpchar", { kind: "string" }, text],
  ["bytea", { kind: "bytes" }, fc.uint8Array({ maxLength: 40 })],
  ["date", { kind: "date" }, fc.integer({ min: -719_162, max: 2_932_896 })],
  ["time", { kind: "time", precision: 6 }, fc.integer({ min: 0, max: 86_400_000_000 })],
  ["timestamp", { kind: "timestamp", precision: 6 }, timestamps],
  ["timestamptz", { kind: "timestamptz", precision: 6 }, instant],
  ["uuid", { kind: "uuid" }, fc.uuid()],
  ["json", { kind: "json" }, fc.json().map((value) => value.replaceAll("\\u0000", ""))],
  ["jsonb", { kind: "json" }, fc.json().map((value) => value.replaceAll("\\u0000", ""))],
];

describe.each(await availablePostgres())("PostgreSQL %i", (major) => {
  let server: TestPostgres;
  let bed: PostgresBed;
  beforeAll(async () => {
    server = await testPostgres(major);
    bed = await PostgresBed.open(await server.createDatabase());
  }, 120_000);
  afterAll(async () => {
    await bed[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  test.each(types)("I6: the server reads %s in binary as it reads the text", async (name, type, values) => {
    const binary = binaryColumn(type.kind, builtin(name));
    const print = textEncoder(type);
    const sql = `SELECT x::text AS cell FROM unnest($1::${name}[]) AS x`;
    const cell = fc.oneof({ weight: 9, arbitrary: values }, fc.constant(null));
    await fc.assert(
      fc.asyncProperty(fc.array(cell, { minLength: 1, maxLength: 50 }), async (column) => {
        const bytes = parameterOf(binary, column);
        expect(bytes, "it has a binary form").not.toBeNull();
        const asText = await bed.client.query(sql, [arrayLiteral(column.map(print))]);
        const asBinary = await bed.client.query(sql, [bytes]);
        expect(asBinary.rows).toEqual(asText.rows);
      }),
      { numRuns: 60 },
    );
  });
});

const never: readonly (readonly [target: string, type: CanonicalType, value: Value])[] = [
  ["int2", { kind: "int16" }, 32_768],
  ["int8", { kind: "int64" }, 2n ** 63n],
  ["numeric", { kind: "decimal" }, "NaN"],
  ["numeric", { kind: "decimal" }, "1e5"],
  ["numeric", { kind: "decimal" }, ""],
  ["numeric", { kind: "decimal" }, "9".repeat(1001)],
  ["timestamptz", { kind: "timestamptz", precision: 6 }, "2026-02-29T00:00:00.000000Z"],
  ["timestamptz", { kind: "timestamptz", precision: 6 }, "2026-13-01T00:00:00.000000Z"],
  ["timestamptz", { kind: "timestamptz", precision: 6 }, "2026-01-01T24:00:00.000000Z"],
  ["timestamptz", { kind: "timestamptz", precision: 6 }, "2026-01-01T00:00:00.00000xZ"],
  ["uuid", { kind: "uuid" }, "3f2c8a0e-1b2c-4d3e-8f90-a1b2c3d4e5fg"],
  ["text", { kind: "string" }, new SourceText("x")],
];

test.each(never)("%s: a value without a binary form makes its column text (%#)", (name, type, value) => {
  expect(parameterOf(binaryColumn(type.kind, builtin(name)), [value])).toBeNull();
});
