/**
 * Names in `connect.parameters`. The first four are Debezium's and Kafka Connect's own; those that start with
 * `datatrace.` carry what the others cannot say, and other readers skip them.
 */
export const parameterNames = {
  sourceType: "__debezium.source.column.type",
  sourceLength: "__debezium.source.column.length",
  sourceScale: "__debezium.source.column.scale",
  decimalPrecision: "connect.decimal.precision",
  /** Canonical type of the column, see `typeText`. Its presence says that the schema is ours. */
  type: "datatrace.type",
  /** Native type name, where upper case loses it. */
  native: "datatrace.native",
  /** Column name, where Avro forbids it as a field name. */
  name: "datatrace.name",
  /** Values of an enum as JSON, where the comma-separated `allowed` is ambiguous. */
  values: "datatrace.values",
  /** Schema and table, on the record `Value`, where the last two parts of the namespace are not exactly these. */
  schema: "datatrace.schema",
  table: "datatrace.table",
} as const;
