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
  fc.stringMatching(/^[a-z_][a-z0-9_]{0,8}$/),
  fc.constantFrom("my-col", "my_col", "my.col", "1st", "_1st", "Ünï", "a b", "a,b%"),
  fc.string({ unit: "binary", minLength: 1, maxLength: 6 }),
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
      return fc.oneof(
        text,
        fc.string({ maxLength: 60 }),
        fc.string({ unit: "grapheme", minLength: 200, maxLength: 400 }),
      );
    case "json":
      return fc.json();
    case "uuid":
      return fc.uuid();
    case "enum":
      return type.values.length === 0 ? fc.constant("") : fc.constantFrom(...type.values);
    case "bytes":
      return fc.uint8Array({ maxLength: 300 });
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

function decimalText(type: { readonly precision?: number; readonly scale?: number }): fc.Arbitrary<string> {
  const { precision, scale } = type;
  const wholeDigits = precision === undefined ? 45 : precision - Math.max(0, scale ?? 0);
  const whole = wholeDigits > 0 ? `(0|[1-9][0-9]{0,${wholeDigits - 1}})` : "0";
  const fraction = scale === undefined ? "(\\.[0-9]{1,30})?" : scale > 0 ? `\\.[0-9]{${scale}}` : "";
  return fc.stringMatching(new RegExp(`^-?${whole}${fraction}$`)).filter((value) => !/^-[0.]*$/.test(value));
}
