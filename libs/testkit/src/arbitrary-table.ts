/** Random tables and rows for property tests. */
import {
  type CanonicalType,
  type Column,
  type Row,
  type ScalarType,
  SourceText,
  type TableSchema,
  UNCHANGED,
  type Value,
} from "@datatrace/core";
import * as fc from "fast-check";

const text = fc.string({ unit: "binary", maxLength: 40 });
const name = fc.oneof(
  fc
    .array(fc.constantFrom("a", "b", "c", "x", "y", "z", "_"), { minLength: 1, maxLength: 8 })
    .map((letters) => letters.join("")),
  fc.constantFrom("my-col", "my_col", "my.col", "1st", "_1st", "Ünï", "a b", "a,b%"),
  fc.string({ unit: "binary", minLength: 1, maxLength: 6 }),
);
// Made once: fast-check builds tables for these.
const uuid = fc.uuid();
const json = fc.json();
const stringValue = fc.oneof(
  { weight: 6, arbitrary: text },
  { weight: 6, arbitrary: fc.string({ maxLength: 60 }) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", minLength: 200, maxLength: 400 }) },
);
const digits = fc.integer({ min: 0, max: 6 });

const decimalType: fc.Arbitrary<ScalarType> = fc.oneof(
  fc.constant<ScalarType>({ kind: "decimal" }),
  fc
    .tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 60 }))
    .map(([precision, scale]): ScalarType => ({ kind: "decimal", precision, scale: Math.min(precision, scale) })),
  // PostgreSQL allows a scale below zero and one above the precision; Avro's decimal allows neither.
  fc.constantFrom<ScalarType>(
    { kind: "decimal", precision: 2, scale: -3 },
    { kind: "decimal", precision: 3, scale: 5 },
    { kind: "decimal", precision: 12 },
    { kind: "decimal", scale: 4 },
  ),
);

export const arbitraryScalarType: fc.Arbitrary<ScalarType> = fc.oneof(
  fc.constantFrom<ScalarType>(
    { kind: "boolean" },
    { kind: "int16" },
    { kind: "int32" },
    { kind: "int64" },
    { kind: "float32" },
    { kind: "float64" },
    { kind: "bytes" },
    { kind: "date" },
    { kind: "uuid" },
    { kind: "json" },
    { kind: "string" },
  ),
  decimalType,
  fc.integer({ min: 1, max: 10_485_760 }).map((length): ScalarType => ({ kind: "string", length })),
  fc
    .tuple(fc.constantFrom("time", "timestamp", "timestamptz"), digits)
    .map(([kind, precision]): ScalarType => ({ kind, precision })),
  fc.uniqueArray(text, { maxLength: 4 }).map((values): ScalarType => ({ kind: "enum", values })),
);

export const arbitraryType: fc.Arbitrary<CanonicalType> = fc.oneof(
  { weight: 4, arbitrary: arbitraryScalarType },
  { weight: 1, arbitrary: arbitraryScalarType.map((element): CanonicalType => ({ kind: "array", element })) },
);

const native = fc.record(
  {
    name: fc.oneof(fc.constantFrom("int4", "varchar", "bpchar", "numeric", "_int4", "_bpchar", "Mood"), text),
    length: fc.integer({ min: 1, max: 10_485_760 }),
    scale: fc.integer({ min: -1000, max: 1000 }),
  },
  { requiredKeys: ["name"] },
);

const column: fc.Arbitrary<Column> = fc.record({ name, type: arbitraryType, native, nullable: fc.boolean() });

/** Any table: legal and illegal names, with and without a key, key columns in any order. */
export const arbitraryTable: fc.Arbitrary<TableSchema> = fc
  .record({
    name: fc.record({ schema: fc.oneof(fc.constant("public"), name), table: fc.oneof(fc.constant("orders"), name) }),
    columns: fc.uniqueArray(column, { minLength: 1, maxLength: 12, selector: (one) => one.name }),
    order: fc.array(fc.nat(), { maxLength: 3 }),
  })
  .map(({ name: table, columns, order }) => {
    const key = [...new Set(order.map((index) => index % columns.length))];
    return {
      name: table,
      key,
      columns: columns.map((one, index) => (key.includes(index) ? { ...one, nullable: false } : one)),
    };
  });

/** A row of the table. With `absent`, cells outside of the key may be `UNCHANGED` or a `SourceText`. */
export function arbitraryRow(table: TableSchema, absent: boolean): fc.Arbitrary<Row> {
  return fc.tuple(
    ...table.columns.map((one, index) => {
      const value = arbitraryValue(one.type);
      const choices = [{ weight: 8, arbitrary: value }];
      if (one.nullable) choices.push({ weight: 1, arbitrary: fc.constant<Value>(null) });
      if (absent && !table.key.includes(index)) {
        choices.push({ weight: 1, arbitrary: fc.constant<Value>(UNCHANGED) });
        choices.push({ weight: 1, arbitrary: text.map((source): Value => new SourceText(source)) });
      }
      return fc.oneof(...choices);
    }),
  );
}

/** A value of the type in its in-memory form, extremes included. */
export function arbitraryValue(type: CanonicalType): fc.Arbitrary<Value> {
  switch (type.kind) {
    case "array":
      return fc.array(fc.option(arbitraryValue(type.element)), { maxLength: 5 });
    case "boolean":
      return fc.boolean();
    case "int16":
      return fc.integer({ min: -32_768, max: 32_767 });
    case "int32":
    case "date":
      return fc.integer();
    case "int64":
      return fc.oneof(fc.integer(), fc.maxSafeInteger(), int64).map(smallest);
    case "float32":
      return fc.float();
    case "float64":
      return fc.double();
    case "decimal":
      return decimalText(type);
    case "string":
      return stringValue;
    case "json":
      return json;
    case "uuid":
      return uuid;
    case "enum":
      return type.values.length === 0 ? fc.constant("") : fc.constantFrom(...type.values);
    case "bytes":
      return fc.uint8Array({ maxLength: 80 });
    case "time":
      return fc
        .integer({ min: 0, max: 86_400_000_000 })
        .map((micros) => micros - (micros % stepMicros(type.precision)));
    case "timestamp": {
      const step = BigInt(stepMicros(type.precision));
      return fc.oneof(fc.maxSafeInteger().map(BigInt), int64).map((micros) => smallest(micros - (micros % step)));
    }
    case "timestamptz":
      return fc
        .tuple(
          fc.date({
            min: new Date("0001-01-01T00:00:00Z"),
            max: new Date("9999-12-31T23:59:59Z"),
            noInvalidDate: true,
          }),
          fc.integer({ min: 0, max: 999_999 }),
        )
        .map(([date, micros]) => {
          const kept = micros - (micros % stepMicros(type.precision));
          return `${date.toISOString().slice(0, 19)}.${String(kept).padStart(6, "0")}Z`;
        });
    default:
      return type satisfies never;
  }
}

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

function stepMicros(precision: number): number {
  return 10 ** (6 - precision);
}

/** A number where it is safe, else the bigint. */
function smallest(value: number | bigint): number | bigint {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

/** Plain notation. Not by a regular expression: fast-check takes long over one. */
function decimalText(type: { readonly precision?: number; readonly scale?: number }): fc.Arbitrary<string> {
  const { precision, scale } = type;
  const wholeDigits = precision === undefined ? 45 : Math.max(0, precision - Math.max(0, scale ?? 0));
  const digitsAfterPoint = scale === undefined ? fc.integer({ min: 0, max: 30 }) : fc.constant(Math.max(0, scale));
  return fc
    .record({
      negative: fc.boolean(),
      whole: fc.bigInt({ min: 0n, max: 10n ** BigInt(wholeDigits) - 1n }),
      fraction: fc.bigInt({ min: 0n, max: 10n ** 60n }),
      digitsAfterPoint,
    })
    .map(({ negative, whole, fraction, digitsAfterPoint: count }) => {
      const decimals = count === 0 ? "" : `.${fraction.toString().padStart(count, "0").slice(-count)}`;
      const magnitude = `${whole}${decimals}`;
      return negative && /[1-9]/.test(magnitude) ? `-${magnitude}` : magnitude;
    });
}
