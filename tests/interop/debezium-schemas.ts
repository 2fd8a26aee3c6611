/**
 * Debezium's PostgreSQL connector as far as its schemas go, written from its documentation and not from our encoder:
 * what Kafka Connect's AvroData makes of them, fields in this order.
 */

/** An Avro schema as JSON. */
export type AvroJson = string | readonly AvroJson[] | { readonly [name: string]: unknown };

export interface DebeziumColumn {
  readonly name: string;
  readonly type: AvroJson;
  readonly optional?: boolean;
  /** The column's default at the source. */
  readonly byDefault?: string | number | boolean;
  /** NOT NULL, of a column with a default. One that is not has its type first in the schema, and null behind it. */
  readonly required?: boolean;
}

/** A logical type of Debezium or Connect: a plain Avro type with a name. */
export function logical(type: string, name: string, parameters: Readonly<Record<string, string>> = {}): AvroJson {
  const some = Object.keys(parameters).length > 0;
  return { type, "connect.version": 1, ...(some ? { "connect.parameters": parameters } : {}), "connect.name": name };
}

/** Connect's decimal: the one logical type that is Avro's too, beside those of the mode `connect`. */
export function decimal(precision: number, scale: number, parameters: Readonly<Record<string, string>> = {}): AvroJson {
  return {
    type: "bytes",
    logicalType: "decimal",
    scale,
    precision,
    "connect.version": 1,
    "connect.parameters": { scale: String(scale), "connect.decimal.precision": String(precision), ...parameters },
    "connect.name": "org.apache.kafka.connect.data.Decimal",
  };
}

/** A numeric without a scale: the first use of it in a schema defines it. */
export const variableScaleDecimal: AvroJson = {
  type: "record",
  name: "VariableScaleDecimal",
  namespace: "io.debezium.data",
  fields: [
    { name: "scale", type: "int" },
    { name: "value", type: "bytes" },
  ],
  "connect.doc": "Variable scaled decimal",
  "connect.version": 1,
  "connect.name": "io.debezium.data.VariableScaleDecimal",
};

/** The same in the mode `connect` of `time.precision.mode`. */
export function connectTime(type: string, name: "Date" | "Time" | "Timestamp", logicalType: string): AvroJson {
  const connectName = `org.apache.kafka.connect.data.${name}`;
  return { type, "connect.version": 1, "connect.name": connectName, logicalType };
}

/** What a column says of its source with `column.propagate.source.type`; drivers have a length and a scale for every type. */
export function propagated(type: string, length: number, scale: number): Readonly<Record<string, string>> {
  return {
    "__debezium.source.column.type": type,
    "__debezium.source.column.length": String(length),
    "__debezium.source.column.scale": String(scale),
  };
}

function optional(type: AvroJson): AvroJson {
  return ["null", type];
}

function field({ name, type, optional: isOptional, byDefault, required }: DebeziumColumn): AvroJson {
  if (byDefault !== undefined) {
    const withDefault = { type, "connect.default": byDefault };
    return { name, type: required === true ? withDefault : [withDefault, "null"], default: byDefault };
  }
  return isOptional === true ? { name, type: optional(type), default: null } : { name, type };
}

export function keySchema(topic: string, columns: readonly DebeziumColumn[]): AvroJson {
  return {
    type: "record",
    name: "Key",
    namespace: topic,
    fields: columns.map(({ name, type }) => ({ name, type })),
    "connect.name": `${topic}.Key`,
  };
}

export function envelopeSchema(topic: string, columns: readonly DebeziumColumn[]): AvroJson {
  const row = {
    type: "record",
    name: "Value",
    fields: columns.map(field),
    "connect.name": `${topic}.Value`,
  };
  return {
    type: "record",
    name: "Envelope",
    namespace: topic,
    fields: [
      { name: "before", type: optional(row), default: null },
      { name: "after", type: optional("Value"), default: null },
      { name: "source", type: sourceBlock },
      { name: "transaction", type: optional(transactionBlock), default: null },
      { name: "op", type: "string" },
      { name: "ts_ms", type: optional("long"), default: null },
      { name: "ts_us", type: optional("long"), default: null },
      { name: "ts_ns", type: optional("long"), default: null },
    ],
    "connect.version": 2,
    "connect.name": `${topic}.Envelope`,
  };
}

const sourceBlock: AvroJson = {
  type: "record",
  name: "Source",
  namespace: "io.debezium.connector.postgresql",
  fields: [
    { name: "version", type: "string" },
    { name: "connector", type: "string" },
    { name: "name", type: "string" },
    { name: "ts_ms", type: "long" },
    {
      name: "snapshot",
      type: [
        {
          type: "string",
          "connect.version": 1,
          "connect.parameters": {
            allowed: "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental",
          },
          "connect.default": "false",
          "connect.name": "io.debezium.data.Enum",
        },
        "null",
      ],
      default: "false",
    },
    { name: "db", type: "string" },
    { name: "sequence", type: optional("string"), default: null },
    { name: "ts_us", type: optional("long"), default: null },
    { name: "ts_ns", type: optional("long"), default: null },
    { name: "schema", type: "string" },
    { name: "table", type: "string" },
    { name: "txId", type: optional("long"), default: null },
    { name: "lsn", type: optional("long"), default: null },
    { name: "xmin", type: optional("long"), default: null },
    { name: "origin", type: optional("string"), default: null },
    { name: "origin_lsn", type: optional("long"), default: null },
  ],
  "connect.version": 1,
  "connect.name": "io.debezium.connector.postgresql.Source",
};

const transactionBlock: AvroJson = {
  type: "record",
  name: "block",
  namespace: "event",
  fields: [
    { name: "id", type: "string" },
    { name: "total_order", type: "long" },
    { name: "data_collection_order", type: "long" },
  ],
  "connect.version": 1,
  "connect.name": "event.block",
};
