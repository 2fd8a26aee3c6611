import type { CanonicalType, Column, NativeType, ScalarType } from "@datatrace/core";
import { type AvroField, type AvroNode, parametersOf, textOf, unsupported } from "./avro-schema.ts";
import { parameterNames } from "./parameter-names.ts";
import { parseTypeText } from "./type-text.ts";
import { type ScalarWire, type WireType, wireOf } from "./wire-type.ts";

type Parameters = ReadonlyMap<string, string>;

/** A column as its field in a writer's schema says it, and how its values lie there. */
export interface ReadColumn {
  readonly column: Column;
  readonly wire: WireType;
  /** Our parameter says the type: the schema was not written by Debezium. */
  readonly own: boolean;
}

/**
 * Rebuilds a column. Our own schemas say the canonical type outright; of Debezium's it is derived from `connect.name`
 * and `logicalType`.
 * @throws DataTraceError `log.schema_unsupported` for a type that has no canonical kind.
 */
export function readColumn(field: AvroField): ReadColumn {
  const node = withoutNull(field.node);
  if (node === null) throw unsupported(`column ${field.name} is a union of several types`);
  const onField = parametersOf(field.json);
  const parameters = onField.size > 0 ? onField : parametersOf(node.json);
  const wire = wireOfNode(node);
  if (wire === null) throw unsupported(`column ${field.name} has a type that has no canonical kind`);
  const declared = declaredType(node, parameters, wire);
  const type = declared ?? derivedType(node, parameters, wire);
  return {
    wire,
    own: declared !== null,
    column: {
      name: parameters.get(parameterNames.name) ?? field.name,
      type,
      native: declared === null ? named(foreignNative(node, parameters), type, field.name) : ownNative(parameters),
      nullable: field.node.kind === "union" && field.node.branches.some((branch) => branch.kind === "null"),
    },
  };
}

/** The one type of a node or of an optional node; null for a union of several. */
export function withoutNull(node: AvroNode): Exclude<AvroNode, { readonly kind: "union" }> | null {
  if (node.kind !== "union") return node;
  const others = node.branches.filter((branch) => branch.kind !== "null");
  const [only] = others;
  return others.length !== 1 || only === undefined || only.kind === "union" ? null : only;
}

/** Our parameter, unless the Avro type beside it contradicts it. */
function declaredType(node: AvroNode, parameters: Parameters, wire: WireType): CanonicalType | null {
  const text = parameters.get(parameterNames.type);
  if (text === undefined) return null;
  const element = node.kind === "array" ? withoutNull(node.items) : null;
  const type = parseTypeText(text, enumValues(element === null ? parameters : parametersOf(element.json)));
  return type !== null && JSON.stringify(wireOf(type)) === JSON.stringify(wire) ? type : null;
}

function enumValues(parameters: Parameters): readonly string[] {
  const exact = parameters.get(parameterNames.values);
  if (exact !== undefined) {
    try {
      return JSON.parse(exact) as readonly string[];
    } catch {
      throw unsupported(`parameter ${parameterNames.values} is not JSON`);
    }
  }
  return parameters.get("allowed")?.split(",") ?? [];
}

function ownNative(parameters: Parameters): NativeType {
  const length = parameters.get(parameterNames.sourceLength);
  const scale = parameters.get(parameterNames.sourceScale);
  return {
    name: parameters.get(parameterNames.native) ?? (parameters.get(parameterNames.sourceType) ?? "").toLowerCase(),
    ...(length === undefined ? {} : { length: Number(length) }),
    ...(scale === undefined ? {} : { scale: Number(scale) }),
  };
}

/**
 * Debezium reports a length and a scale for every type (int4 has length 10, text 2147483647, timestamptz 35 with scale
 * 6): only what a column definition of that type may say is kept.
 */
function foreignNative(node: AvroNode, parameters: Parameters): NativeType {
  const name = (parameters.get(parameterNames.sourceType) ?? "").toLowerCase();
  const logical = logicalName(node);
  if (logical === "decimal") {
    const { precision, scale } = decimalOf(node, parameters);
    return {
      name,
      ...(precision === undefined ? {} : { length: precision }),
      ...(scale === undefined ? {} : { scale }),
    };
  }
  const length = characters(name, parameters);
  if (length !== undefined) return { name, length };
  const digits = secondDigits(parameters);
  return timedNames.has(logical) && digits !== undefined && digits < 6 ? { name, length: digits } : { name };
}

/** An enum needs a name to be made in a target, which Debezium says only when it propagates the columns' types. */
function named(native: NativeType, type: CanonicalType, fieldName: string): NativeType {
  if (native.name !== "") return native;
  if (type.kind === "enum") return { ...native, name: `${fieldName}_enum` };
  return type.kind === "array" && type.element.kind === "enum" ? { ...native, name: `_${fieldName}_enum` } : native;
}

const sizedTexts = new Set(["varchar", "bpchar", "char", "character", "nchar", "varchar2", "nvarchar", "nvarchar2"]);
const timedNames = new Set(["Time", "MicroTime", "Timestamp", "MicroTimestamp", "ZonedTimestamp"]);
const unboundedLength = 2_147_483_647;

function characters(name: string, parameters: Parameters): number | undefined {
  const length = Number(parameters.get(parameterNames.sourceLength) ?? Number.NaN);
  return sizedTexts.has(name) && length > 0 && length < unboundedLength ? length : undefined;
}

function secondDigits(parameters: Parameters): number | undefined {
  const scale = Number(parameters.get(parameterNames.sourceScale) ?? Number.NaN);
  return scale >= 0 && scale <= 6 ? scale : undefined;
}

/** Last part of `connect.name`, or the Avro logical type brought to the same names. */
function logicalName(node: AvroNode): string {
  const name = textOf(node.json, "connect.name") ?? "";
  switch (name) {
    case "org.apache.kafka.connect.data.Decimal":
      return "decimal";
    case "org.apache.kafka.connect.data.Date":
    case "io.debezium.time.Date":
      return "Date";
    case "org.apache.kafka.connect.data.Time":
    case "io.debezium.time.Time":
      return "Time";
    case "org.apache.kafka.connect.data.Timestamp":
    case "io.debezium.time.Timestamp":
      return "Timestamp";
    case "io.debezium.time.MicroTime":
    case "io.debezium.time.MicroTimestamp":
    case "io.debezium.time.ZonedTimestamp":
    case "io.debezium.data.Uuid":
    case "io.debezium.data.Json":
    case "io.debezium.data.Enum":
      return name.slice(name.lastIndexOf(".") + 1);
    default:
      return logicalTypes.get(textOf(node.json, "logicalType") ?? "") ?? "";
  }
}

const logicalTypes = new Map([
  ["decimal", "decimal"],
  ["date", "Date"],
  ["time-millis", "Time"],
  ["time-micros", "MicroTime"],
  ["timestamp-millis", "Timestamp"],
  ["local-timestamp-millis", "Timestamp"],
  ["timestamp-micros", "MicroTimestamp"],
  ["local-timestamp-micros", "MicroTimestamp"],
  ["uuid", "Uuid"],
]);

function decimalOf(node: AvroNode, parameters: Parameters): { precision?: number; scale?: number } {
  const precision = Number(node.json["precision"] ?? parameters.get(parameterNames.decimalPrecision) ?? Number.NaN);
  const scale = Number(node.json["scale"] ?? parameters.get("scale") ?? 0);
  return {
    ...(Number.isInteger(precision) ? { precision } : {}),
    ...(Number.isInteger(scale) ? { scale } : {}),
  };
}

function wireOfNode(node: AvroNode): WireType | null {
  if (node.kind !== "array") return scalarWireOfNode(node);
  const items = withoutNull(node.items);
  const element = items === null ? null : scalarWireOfNode(items);
  return element === null ? null : { kind: "array", element };
}

function scalarWireOfNode(node: AvroNode): ScalarWire | null {
  const logical = logicalName(node);
  switch (node.kind) {
    case "boolean":
    case "float":
    case "double":
      return { kind: node.kind };
    case "int":
      return { kind: logical === "Time" ? "time-millis" : "int" };
    case "long":
      return { kind: logical === "Timestamp" ? "timestamp-millis" : "long" };
    case "bytes": {
      if (logical !== "decimal") return { kind: "bytes" };
      const { scale } = decimalOf(node, parametersOf(node.json));
      return scale === undefined ? null : { kind: "decimal", scale };
    }
    case "string":
      return { kind: logical === "ZonedTimestamp" ? "zoned" : "string" };
    case "record":
      return isVariableDecimal(node) ? { kind: "variable-decimal" } : null;
    case "null":
    case "fixed":
    case "enum":
    case "array":
    case "map":
    case "union":
      return null;
    default:
      return node satisfies never;
  }
}

function isVariableDecimal(node: Extract<AvroNode, { readonly kind: "record" }>): boolean {
  const [scale, value] = node.fields;
  return (
    node.fullName === "io.debezium.data.VariableScaleDecimal" &&
    node.fields.length === 2 &&
    scale?.name === "scale" &&
    scale.node.kind === "int" &&
    value?.name === "value" &&
    value.node.kind === "bytes"
  );
}

function derivedType(node: AvroNode, parameters: Parameters, wire: WireType): CanonicalType {
  if (wire.kind !== "array") return derivedScalar(node, parameters, wire);
  const items = node.kind === "array" ? withoutNull(node.items) : null;
  if (items === null) throw unsupported("an array without items");
  return { kind: "array", element: derivedScalar(items, parametersOf(items.json), wire.element) };
}

function derivedScalar(node: AvroNode, parameters: Parameters, wire: ScalarWire): ScalarType {
  const logical = logicalName(node);
  switch (wire.kind) {
    case "boolean":
    case "bytes":
      return { kind: wire.kind };
    case "int":
      if (logical === "Date") return { kind: "date" };
      return { kind: /^int(8|16)$/.test(textOf(node.json, "connect.type") ?? "") ? "int16" : "int32" };
    case "long":
      if (logical === "MicroTime") return { kind: "time", precision: secondDigits(parameters) ?? 6 };
      if (logical === "MicroTimestamp") return { kind: "timestamp", precision: secondDigits(parameters) ?? 6 };
      return { kind: "int64" };
    case "float":
      return { kind: "float32" };
    case "double":
      return { kind: "float64" };
    case "time-millis":
      return { kind: "time", precision: Math.min(secondDigits(parameters) ?? 3, 3) };
    case "timestamp-millis":
      return { kind: "timestamp", precision: Math.min(secondDigits(parameters) ?? 3, 3) };
    case "zoned":
      return { kind: "timestamptz", precision: secondDigits(parameters) ?? 6 };
    case "variable-decimal":
      return { kind: "decimal" };
    case "decimal":
      return { kind: "decimal", ...decimalOf(node, parametersOf(node.json)) };
    case "string":
      return derivedText(logical, parameters);
    default:
      return wire satisfies never;
  }
}

function derivedText(logical: string, parameters: Parameters): ScalarType {
  if (logical === "Uuid") return { kind: "uuid" };
  if (logical === "Json") return { kind: "json" };
  if (logical === "Enum" && parameters.has("allowed")) return { kind: "enum", values: enumValues(parameters) };
  const length = characters((parameters.get(parameterNames.sourceType) ?? "").toLowerCase(), parameters);
  return { kind: "string", ...(length === undefined ? {} : { length }) };
}
