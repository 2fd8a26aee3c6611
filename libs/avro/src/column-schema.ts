import type { CanonicalType, Column, ScalarType } from "@datatrace/core";
import type { JsonObject, JsonValue } from "./avro-schema.ts";
import { parameterNames } from "./parameter-names.ts";
import { typeText } from "./type-text.ts";
import { isAvroDecimal } from "./wire-type.ts";

const variableScaleDecimal = "io.debezium.data.VariableScaleDecimal";

type Parameters = Readonly<Record<string, string>>;

/** Names of records that the schema has defined so far: Avro wants a second use to be by name. */
export type DefinedNames = Set<string>;

/** Where `type` is only a name (a second unbounded numeric), its parameters go on the field itself. */
interface ColumnSchema {
  readonly type: JsonValue;
  readonly fieldParameters: Parameters | null;
}

/**
 * The type of a value column. What the source said of it stands in `connect.parameters`, so that the column can be
 * rebuilt from the schema alone.
 */
export function valueColumnSchema(column: Column, fieldName: string, defined: DefinedNames): ColumnSchema {
  const parameters = columnParameters(column, fieldName);
  const type = avroType(column.type, parameters, defined, true);
  return { type, fieldParameters: type === variableScaleDecimal ? parameters : null };
}

/**
 * The type of a key column. It carries nothing that may change while the key's bytes do not (no native type, no length,
 * no enum values), so that its schema id, which stands in every key of the log, stays.
 */
export function keyColumnSchema(column: Column, fieldName: string, defined: DefinedNames): ColumnSchema {
  const parameters = fieldName === column.name ? {} : { [parameterNames.name]: column.name };
  // A later column that refers to the record by name would take over what stands in its definition.
  const named = column.type.kind === "decimal" && !isAvroDecimal(column.type);
  const type = avroType(column.type, named ? {} : parameters, defined, false);
  return { type, fieldParameters: named && fieldName !== column.name ? parameters : null };
}

function columnParameters(column: Column, fieldName: string): Parameters {
  const { native } = column;
  const upper = native.name.toUpperCase();
  return {
    [parameterNames.sourceType]: upper,
    ...(native.length === undefined ? {} : { [parameterNames.sourceLength]: String(native.length) }),
    ...(native.scale === undefined ? {} : { [parameterNames.sourceScale]: String(native.scale) }),
    ...(upper.toLowerCase() === native.name ? {} : { [parameterNames.native]: native.name }),
    ...(fieldName === column.name ? {} : { [parameterNames.name]: column.name }),
    [parameterNames.type]: typeText(column.type),
  };
}

function avroType(type: CanonicalType, parameters: Parameters, defined: DefinedNames, enumValues: boolean): JsonValue {
  if (type.kind !== "array") return scalarType(type, parameters, defined, enumValues);
  return withConnect(
    { type: "array", items: ["null", scalarType(type.element, {}, defined, enumValues)] },
    parameters,
    null,
  );
}

/** In the order of properties that Kafka Connect's AvroData writes. */
function scalarType(type: ScalarType, parameters: Parameters, defined: DefinedNames, enumValues: boolean): JsonValue {
  switch (type.kind) {
    case "boolean":
    case "bytes":
    case "string":
      return withConnect({ type: type.kind }, parameters, null);
    case "int16":
      return withConnect({ type: "int", "connect.type": "int16" }, parameters, null);
    case "int32":
      return withConnect({ type: "int" }, parameters, null);
    case "int64":
      return withConnect({ type: "long" }, parameters, null);
    case "float32":
      return withConnect({ type: "float" }, parameters, null);
    case "float64":
      return withConnect({ type: "double" }, parameters, null);
    case "decimal":
      return isAvroDecimal(type) ? sizedDecimal(type, parameters) : variableDecimal(parameters, defined);
    case "date":
      return withConnect({ type: "int" }, parameters, "io.debezium.time.Date");
    case "time":
      return type.precision <= 3
        ? withConnect({ type: "int" }, parameters, "io.debezium.time.Time")
        : withConnect({ type: "long" }, parameters, "io.debezium.time.MicroTime");
    case "timestamp":
      return withConnect(
        { type: "long" },
        parameters,
        type.precision <= 3 ? "io.debezium.time.Timestamp" : "io.debezium.time.MicroTimestamp",
      );
    case "timestamptz":
      return withConnect({ type: "string" }, parameters, "io.debezium.time.ZonedTimestamp");
    case "uuid":
      return withConnect({ type: "string" }, parameters, "io.debezium.data.Uuid");
    case "json":
      return withConnect({ type: "string" }, parameters, "io.debezium.data.Json");
    case "enum":
      return withConnect(
        { type: "string" },
        enumValues ? { ...enumParameters(type.values), ...parameters } : parameters,
        "io.debezium.data.Enum",
      );
    default:
      return type satisfies never;
  }
}

function sizedDecimal(type: { readonly precision: number; readonly scale: number }, parameters: Parameters): JsonValue {
  return withConnect(
    { type: "bytes", logicalType: "decimal", scale: type.scale, precision: type.precision },
    { scale: String(type.scale), [parameterNames.decimalPrecision]: String(type.precision), ...parameters },
    "org.apache.kafka.connect.data.Decimal",
  );
}

function variableDecimal(parameters: Parameters, defined: DefinedNames): JsonValue {
  if (defined.has(variableScaleDecimal)) return variableScaleDecimal;
  defined.add(variableScaleDecimal);
  return withConnect(
    {
      type: "record",
      name: "VariableScaleDecimal",
      namespace: "io.debezium.data",
      fields: [
        { name: "scale", type: "int" },
        { name: "value", type: "bytes" },
      ],
      "connect.doc": "Variable scaled decimal",
    },
    parameters,
    variableScaleDecimal,
  );
}

function enumParameters(values: readonly string[]): Parameters {
  const allowed = values.join(",");
  const exact = values.length > 0 && values.every((value) => !value.includes(","));
  return { allowed, ...(exact ? {} : { [parameterNames.values]: JSON.stringify(values) }) };
}

/** Debezium's logical types all have version 1. A type without any property is written as its bare name. */
function withConnect(base: JsonObject, parameters: Parameters, name: string | null): JsonValue {
  const empty = Object.keys(parameters).length === 0;
  if (name === null && empty && Object.keys(base).length === 1 && typeof base["type"] === "string") return base["type"];
  return {
    ...base,
    ...(name === null ? {} : { "connect.version": 1 }),
    ...(empty ? {} : { "connect.parameters": parameters }),
    ...(name === null ? {} : { "connect.name": name }),
  };
}
