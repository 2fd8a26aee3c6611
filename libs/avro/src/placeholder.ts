import type { CanonicalKind, CanonicalType, Value } from "@datatrace/core";

/** What Debezium writes for a large column that an update left out (`unavailable.value.placeholder`). */
const unavailable = "__debezium_unavailable_value";

const unavailableBytes = new TextEncoder().encode(unavailable);
/** Java's `UUID.nameUUIDFromBytes` of the placeholder. */
const unavailableUuid = "b68a35a7-17ad-35b3-af2a-ae46edb4545a";

/** What Debezium writes for an hstore left out, in its mode `json`. */
export const unavailableHstore = JSON.stringify({ [unavailable]: unavailable });

/**
 * The value that stands in Avro for a column left out, where Debezium has one for its type; else null. Readers that
 * know the header `datatrace.unchanged` never look at it.
 */
export function unavailablePlaceholder(type: CanonicalType): Value {
  return type.kind === "array" ? (inArrays.get(type.element.kind) ?? null) : (alone.get(type.kind) ?? null);
}

const alone = new Map<CanonicalKind, Value>([
  ["string", unavailable],
  ["json", unavailable],
  ["bytes", unavailableBytes],
]);

const inArrays = new Map<CanonicalKind, Value>([
  ["string", [unavailable]],
  ["json", [unavailable]],
  ["bytes", [unavailableBytes]],
  ["uuid", [unavailableUuid]],
  ["int16", [...unavailableBytes]],
  ["int32", [...unavailableBytes]],
  ["int64", [...unavailableBytes]],
  ["date", [...unavailableBytes]],
]);

/** What a NOT NULL column holds where its value is not known, as Debezium's converters have it. */
export function zeroOf(type: CanonicalType): Value {
  switch (type.kind) {
    case "boolean":
      return false;
    case "decimal":
      return "0";
    case "string":
    case "uuid":
    case "enum":
      return "";
    case "json":
      return "{}";
    case "bytes":
      return new Uint8Array(0);
    case "timestamptz":
      return "1970-01-01T00:00:00.000000Z";
    case "array":
      return [];
    case "int16":
    case "int32":
    case "int64":
    case "float32":
    case "float64":
    case "date":
    case "time":
    case "timestamp":
      return 0;
    default:
      return type satisfies never;
  }
}
