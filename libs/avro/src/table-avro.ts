import type { SourceDescriptor, TableSchema } from "@datatrace/core";
import { avroFieldNames, avroNamespace } from "./avro-names.ts";
import type { JsonObject, JsonValue } from "./avro-schema.ts";
import { type DefinedNames, keyColumnSchema, valueColumnSchema } from "./column-schema.ts";
import { parameterNames } from "./parameter-names.ts";
import { sourceSchema } from "./source-schema.ts";
import { tableNameOf } from "./table-name.ts";

/** What an event's schemas depend on. */
export interface TableContract {
  readonly topic: string;
  readonly schema: TableSchema;
  readonly descriptor: SourceDescriptor;
}

/** Avro schemas as JSON text. `key` is null for a table without a key. */
export interface AvroSchemas {
  readonly key: string | null;
  readonly value: string;
}

/**
 * The key and the envelope of a table's events, field by field as Debezium writes them, with `datatrace.*` parameters
 * that carry what Debezium's leave out. The same input gives the same text. `tableFromAvro` is its inverse.
 */
export function avroFromTable(contract: TableContract): AvroSchemas {
  return {
    key: contract.schema.key.length === 0 ? null : JSON.stringify(keySchema(contract)),
    value: JSON.stringify(envelopeSchema(contract)),
  };
}

function keySchema({ topic, schema }: TableContract): JsonObject {
  const namespace = avroNamespace(topic);
  const columns = schema.key.map((index) => schema.columns[index]).filter((column) => column !== undefined);
  const names = avroFieldNames(columns);
  const defined: DefinedNames = new Set();
  return {
    type: "record",
    name: "Key",
    namespace,
    fields: columns.map((column, at) => {
      const name = names[at] ?? "";
      const { type, fieldParameters } = keyColumnSchema(column, name, defined);
      return { name, type, ...(fieldParameters === null ? {} : { "connect.parameters": fieldParameters }) };
    }),
    "connect.name": `${namespace}.Key`,
  };
}

function envelopeSchema({ topic, schema, descriptor }: TableContract): JsonObject {
  const namespace = avroNamespace(topic);
  return {
    type: "record",
    name: "Envelope",
    namespace,
    fields: [
      { name: "before", type: ["null", valueSchema(namespace, schema)], default: null },
      { name: "after", type: ["null", "Value"], default: null },
      { name: "source", type: sourceSchema(descriptor) },
      { name: "transaction", type: ["null", transactionSchema], default: null },
      { name: "op", type: "string" },
      { name: "ts_ms", type: ["null", "long"], default: null },
      { name: "ts_us", type: ["null", "long"], default: null },
      { name: "ts_ns", type: ["null", "long"], default: null },
    ],
    "connect.version": 2,
    "connect.name": `${namespace}.Envelope`,
  };
}

function valueSchema(namespace: string, schema: TableSchema): JsonObject {
  const names = avroFieldNames(schema.columns);
  const defined: DefinedNames = new Set();
  const plain = tableNameOf(namespace);
  const exact = plain.schema === schema.name.schema && plain.table === schema.name.table;
  return {
    type: "record",
    name: "Value",
    fields: schema.columns.map((column, at): JsonObject => {
      const name = names[at] ?? "";
      const { type, fieldParameters } = valueColumnSchema(column, name, defined);
      return {
        name,
        ...(column.nullable ? { type: ["null", type] as readonly JsonValue[], default: null } : { type }),
        ...(fieldParameters === null ? {} : { "connect.parameters": fieldParameters }),
      };
    }),
    ...(exact
      ? {}
      : {
          "connect.parameters": {
            [parameterNames.schema]: schema.name.schema,
            [parameterNames.table]: schema.name.table,
          },
        }),
    "connect.name": `${namespace}.Value`,
  };
}

const transactionSchema: JsonObject = {
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
