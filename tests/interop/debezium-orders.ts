import { type DebeziumColumn, decimal, logical, variableScaleDecimal } from "./debezium-schemas.ts";

/**
 * Columns of `publishedTable` as Debezium describes them in its default modes, with the names that its mode `avro` of
 * `field.name.adjustment.mode` gives. At the source `quantity` has a default, and so has `note`.
 */
export const ordersColumns: readonly DebeziumColumn[] = [
  { name: "id", type: "long" },
  { name: "region", type: "string" },
  { name: "part", type: decimal(8, 2) },
  { name: "quantity", type: "int" },
  { name: "rank", type: { type: "int", "connect.type": "int16" }, optional: true },
  { name: "paid", type: "boolean" },
  { name: "weight", type: "float", optional: true },
  { name: "ratio", type: "double", optional: true },
  { name: "total", type: decimal(12, 2), optional: true },
  { name: "rate", type: variableScaleDecimal, optional: true },
  { name: "fee", type: "io.debezium.data.VariableScaleDecimal" },
  { name: "email", type: "string", optional: true },
  { name: "note", type: "string", optional: true },
  { name: "photo", type: "bytes", optional: true },
  { name: "due", type: logical("int", "io.debezium.time.Date"), optional: true },
  { name: "opens", type: logical("int", "io.debezium.time.Time"), optional: true },
  { name: "closes", type: logical("long", "io.debezium.time.MicroTime"), optional: true },
  { name: "seen", type: logical("long", "io.debezium.time.Timestamp"), optional: true },
  { name: "changed", type: logical("long", "io.debezium.time.MicroTimestamp") },
  { name: "placed", type: logical("string", "io.debezium.time.ZonedTimestamp") },
  { name: "ref", type: logical("string", "io.debezium.data.Uuid"), optional: true },
  { name: "extra", type: logical("string", "io.debezium.data.Json"), optional: true },
  { name: "mood", type: logical("string", "io.debezium.data.Enum", { allowed: "sad,ok" }), optional: true },
  { name: "tags", type: { type: "array", items: ["null", "string"] }, optional: true },
  { name: "my_col", type: "int", optional: true },
];

/** The same with the defaults of the source's columns, which Debezium propagates. */
export const ordersWithDefaults: readonly DebeziumColumn[] = ordersColumns.map((column) => {
  if (column.name === "quantity") return { name: "quantity", type: "int", required: true, byDefault: 1 };
  return column.name === "note" ? { name: "note", type: "string", byDefault: "none" } : column;
});
