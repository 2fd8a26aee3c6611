import type { CanonicalType, Row, TableSchema, Value } from "@datatrace/core";

/** Columns of every canonical type, with values at the edges of each. */
const columns: readonly (readonly [name: string, type: CanonicalType, values: readonly Value[]])[] = [
  ["a_boolean", { kind: "boolean" }, [true, false]],
  ["an_int16", { kind: "int16" }, [-32_768, 32_767, 0]],
  ["an_int32", { kind: "int32" }, [-2_147_483_648, 2_147_483_647, 0]],
  ["an_int64", { kind: "int64" }, [-(2n ** 63n), 2n ** 63n - 1n, Number.MAX_SAFE_INTEGER]],
  ["a_float32", { kind: "float32" }, [-0, Number.NaN, Math.fround(3.4e38)]],
  ["a_float64", { kind: "float64" }, [Number.NEGATIVE_INFINITY, 5e-324, -0]],
  ["a_decimal", { kind: "decimal", precision: 10, scale: 2 }, ["-99999999.99", "0.00", "1.28"]],
  [
    "a_wide_decimal",
    { kind: "decimal", precision: 60, scale: 30 },
    [`${"9".repeat(30)}.${"9".repeat(30)}`, `0.${"0".repeat(30)}`],
  ],
  ["a_numeric", { kind: "decimal" }, ["-128", "1.5000", "123456789012345678901234567890.123456789"]],
  ["a_second_numeric", { kind: "decimal" }, ["127", "128", "-129"]],
  ["a_short_decimal", { kind: "decimal", precision: 3, scale: 5 }, ["0.00123"]],
  ["a_string", { kind: "string" }, ["", "\u0000\u{10FFFF}漢é", "x".repeat(10_000)]],
  ["a_varchar", { kind: "string", length: 10 }, ["ten", "chars"]],
  ["a_bytes", { kind: "bytes" }, [new Uint8Array(0), Uint8Array.from({ length: 256 }, (_, i) => i)]],
  ["a_date", { kind: "date" }, [-719_162, 2_932_896, 0]],
  ["a_time0", { kind: "time", precision: 0 }, [0, 86_400_000_000]],
  ["a_time6", { kind: "time", precision: 6 }, [1, 86_400_000_000]],
  ["a_timestamp3", { kind: "timestamp", precision: 3 }, [-62_135_596_800_000_000, 1000]],
  ["a_timestamp6", { kind: "timestamp", precision: 6 }, [9_223_372_036_854_775_807n, -1]],
  ["a_timestamptz0", { kind: "timestamptz", precision: 0 }, ["0001-01-01T00:00:00.000000Z"]],
  ["a_timestamptz3", { kind: "timestamptz", precision: 3 }, ["2026-01-02T03:04:05.678000Z"]],
  ["a_timestamptz6", { kind: "timestamptz", precision: 6 }, ["9999-12-31T23:59:59.999999Z"]],
  ["a_uuid", { kind: "uuid" }, ["1d8c5a4e-0000-4000-8000-000000000001"]],
  ["a_json", { kind: "json" }, ['{"a":[1,null,"é"]}']],
  ["an_enum", { kind: "enum", values: ["sad", "a,b"] }, ["sad", "a,b"]],
  ["texts", { kind: "array", element: { kind: "string" } }, [[], ["a", null, ""]]],
  ["longs", { kind: "array", element: { kind: "int64" } }, [[1, 2n ** 62n, null]]],
  ["numerics", { kind: "array", element: { kind: "decimal" } }, [["1.10", null]]],
  ["decimals", { kind: "array", element: { kind: "decimal", precision: 4, scale: 1 } }, [["1.1", "-999.9"]]],
  ["instants", { kind: "array", element: { kind: "timestamptz", precision: 6 } }, [["2026-01-02T03:04:05.678901Z"]]],
];

const rowCount = Math.max(...columns.map(([, , values]) => values.length));

/** A table with each type twice, required and optional, and rows through all the values above. */
export const everyType: { readonly schema: TableSchema; readonly rows: readonly Row[] } = {
  schema: {
    name: { schema: "public", table: "every_type" },
    key: [0],
    columns: [
      { name: "id", type: { kind: "int64" }, native: { name: "int8" }, nullable: false },
      ...columns.map(([name, type]) => ({ name, type, native: { name: type.kind }, nullable: false })),
      ...columns.map(([name, type]) => ({
        name: `${name}_or_null`,
        type,
        native: { name: type.kind },
        nullable: true,
      })),
    ],
  },
  rows: Array.from({ length: rowCount }, (_, row) => [
    row,
    ...columns.map(([, , values]) => values[row % values.length] ?? null),
    ...columns.map(([, , values]) => (row === 0 ? null : (values[row % values.length] ?? null))),
  ]),
};
