import type { CanonicalType, ScalarType } from "@datatrace/core";

/**
 * How a value lies in Avro, apart from its meaning: several canonical types share one. `int` is also a date, `long`
 * also microseconds, `time-millis` an int and `timestamp-millis` a long of milliseconds (Debezium's `adaptive` mode),
 * `zoned` a string of an instant, `variable-decimal` the record `io.debezium.data.VariableScaleDecimal`.
 */
export type ScalarWire =
  | {
      readonly kind:
        | "boolean"
        | "int"
        | "long"
        | "float"
        | "double"
        | "bytes"
        | "string"
        | "zoned"
        | "time-millis"
        | "timestamp-millis"
        | "variable-decimal";
    }
  | { readonly kind: "decimal"; readonly scale: number };

export type WireType = ScalarWire | { readonly kind: "array"; readonly element: ScalarWire };

/** Digits of a second up to which Debezium writes milliseconds. */
const millisPrecision = 3;

/** A fixed scale that Avro's `decimal` can name: others are written with their scale in each value. */
export function isAvroDecimal(type: { readonly precision?: number; readonly scale?: number }): type is {
  readonly precision: number;
  readonly scale: number;
} {
  const { precision, scale } = type;
  return precision !== undefined && scale !== undefined && precision > 0 && scale >= 0 && scale <= precision;
}

/** The wire type that a canonical type is written as. */
export function wireOf(type: CanonicalType): WireType {
  return type.kind === "array" ? { kind: "array", element: scalarWireOf(type.element) } : scalarWireOf(type);
}

export function scalarWireOf(type: ScalarType): ScalarWire {
  switch (type.kind) {
    case "boolean":
    case "bytes":
      return { kind: type.kind };
    case "int16":
    case "int32":
    case "date":
      return { kind: "int" };
    case "int64":
      return { kind: "long" };
    case "float32":
      return { kind: "float" };
    case "float64":
      return { kind: "double" };
    case "decimal":
      return isAvroDecimal(type) ? { kind: "decimal", scale: type.scale } : { kind: "variable-decimal" };
    case "time":
      return { kind: type.precision <= millisPrecision ? "time-millis" : "long" };
    case "timestamp":
      return { kind: type.precision <= millisPrecision ? "timestamp-millis" : "long" };
    case "timestamptz":
      return { kind: "zoned" };
    case "string":
    case "uuid":
    case "json":
    case "enum":
      return { kind: "string" };
    default:
      return type satisfies never;
  }
}
