import type { SourceDescriptor, SourceField } from "@datatrace/core";
import type { JsonObject, JsonValue } from "./avro-schema.ts";

/**
 * What `source.snapshot` may say. `incremental` for rows of a watermarked chunk, `false` for the stream, the others as
 * Debezium uses them in a snapshot that stops the stream.
 */
export type SnapshotFlag =
  | "true"
  | "first"
  | "first_in_data_collection"
  | "last_in_data_collection"
  | "last"
  | "false"
  | "incremental";

const allowed = "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental";

/** The `source` block: Debezium's common fields in their order, then the connector's own. */
export function sourceSchema(descriptor: SourceDescriptor): JsonObject {
  const namespace = `io.debezium.connector.${descriptor.connector}`;
  return {
    type: "record",
    name: "Source",
    namespace,
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
            "connect.parameters": { allowed },
            "connect.default": "false",
            "connect.name": "io.debezium.data.Enum",
          },
          "null",
        ],
        default: "false",
      },
      { name: "db", type: "string" },
      optional("sequence", "string"),
      optional("ts_us", "long"),
      optional("ts_ns", "long"),
      ...descriptor.fields.map(connectorField),
    ],
    "connect.version": 1,
    "connect.name": `${namespace}.Source`,
  };
}

function connectorField(field: SourceField): JsonObject {
  switch (field.type) {
    case "nullable-string":
      return optional(field.name, "string");
    case "nullable-long":
      return optional(field.name, "long");
    case "string":
    case "long":
    case "int":
      return { name: field.name, type: field.type };
    default:
      return field.type satisfies never;
  }
}

function optional(name: string, type: JsonValue): JsonObject {
  return { name, type: ["null", type], default: null };
}
