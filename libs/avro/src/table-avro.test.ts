import type { TableSchema } from "@datatrace/core";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { arbitraryTable } from "@datatrace/testkit/arbitrary-table";
import { avscType } from "@datatrace/testkit/avsc-type";
import { fieldNames } from "./avsc-oracle.ts";
import { avroFromTable } from "./table-avro.ts";
import { postgresDescriptor } from "./postgres-origin.ts";
import { tableFromAvro } from "./read-schemas.ts";

const topics = fc.constantFrom("shop.public.orders", "shop-prod.public.order-items", "1.2.3", "plain", "a..b");

function schemasOf(schema: TableSchema, topic = "shop.public.orders"): ReturnType<typeof avroFromTable> {
  return avroFromTable({ topic, schema, descriptor: postgresDescriptor });
}

function tableOf(...names: readonly string[]): TableSchema {
  return {
    name: { schema: "public", table: "orders" },
    key: [0],
    columns: names.map((name) => ({ name, type: { kind: "int32" }, native: { name: "int4" }, nullable: false })),
  };
}

test("a table is rebuilt exactly from its writer's schemas", () => {
  fc.assert(
    fc.property(arbitraryTable, topics, (table, topic) => {
      const { key, value } = schemasOf(table, topic);
      expect(tableFromAvro(key, value)).toEqual(table);
    }),
    { numRuns: 500, interruptAfterTimeLimit: 8_000 },
  );
});

test("an Avro implementation parses every schema, whatever the names", () => {
  fc.assert(
    fc.property(arbitraryTable, topics, (table, topic) => {
      const { key, value } = schemasOf(table, topic);
      expect(avscType(value).name).toMatch(/\.Envelope$|^Envelope$/);
      expect(key === null ? [] : fieldNames(key)).toHaveLength(table.key.length);
    }),
    { numRuns: 200, interruptAfterTimeLimit: 8_000 },
  );
});

describe("names", () => {
  test("illegal names are adjusted as Debezium does it", () => {
    const { key, value } = schemasOf(tableOf("1st", "my-col", "ok"), "shop-prod.public.1st");
    expect(fieldNames(value)).toEqual(["_1st", "my_col", "ok"]);
    expect(JSON.parse(key ?? "")).toMatchObject({
      namespace: "shop_prod.public._1st",
      "connect.name": "shop_prod.public._1st.Key",
    });
  });

  test("two columns that would collide keep apart, and a legal name is never taken away", () => {
    const table = tableOf("my-col", "my.col", "my_col", "my_col_2");
    const { key, value } = schemasOf(table);
    expect(fieldNames(value)).toEqual(["my_col_3", "my_col_4", "my_col", "my_col_2"]);
    expect(tableFromAvro(key, value)).toEqual(table);
  });
});

/** A key of a varchar, an enum and a decimal. */
function keyed(length: number, values: readonly string[]): TableSchema {
  return {
    name: { schema: "public", table: "orders" },
    key: [0, 1, 2],
    columns: [
      { name: "code", type: { kind: "string", length }, native: { name: "varchar", length }, nullable: false },
      { name: "mood", type: { kind: "enum", values }, native: { name: "mood" }, nullable: false },
      {
        name: "price",
        type: { kind: "decimal", precision: 8, scale: 2 },
        native: { name: "numeric", length: 8, scale: 2 },
        nullable: false,
      },
    ],
  };
}

describe("key schema", () => {
  test("a longer varchar and a new enum value leave it as it is", () => {
    const before = schemasOf(keyed(10, ["sad"]));
    const after = schemasOf(keyed(20, ["sad", "ok"]));
    expect(after.key).toBe(before.key);
    expect(after.value).not.toBe(before.value);
  });

  test("a decimal keeps its scale and precision, and nothing of the source's type is there", () => {
    const { key } = schemasOf(keyed(10, ["sad"]));
    expect(key).not.toContain("__debezium.source.column");
    expect(JSON.parse(key ?? "")).toMatchObject({
      fields: [{}, {}, { type: { type: "bytes", logicalType: "decimal", scale: 2, precision: 8 } }],
    });
  });
});

test("a second unbounded numeric refers to the record by name and keeps its own parameters", () => {
  const numeric = { type: { kind: "decimal" }, native: { name: "numeric" }, nullable: true } as const;
  const table: TableSchema = {
    name: { schema: "public", table: "orders" },
    key: [],
    columns: [
      { name: "a", ...numeric },
      { name: "b-c", ...numeric, native: { name: "Money" } },
    ],
  };
  const { value } = schemasOf(table);
  const text = JSON.stringify(JSON.parse(value));
  expect(text.split('"name":"VariableScaleDecimal"')).toHaveLength(2);
  expect(text).toContain('"type":["null","io.debezium.data.VariableScaleDecimal"]');
  expect(tableFromAvro(null, value)).toEqual(table);
});
