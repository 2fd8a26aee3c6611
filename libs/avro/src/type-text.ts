import type { CanonicalType, ScalarType } from "@datatrace/core";

const plainKinds = [
  "boolean",
  "int16",
  "int32",
  "int64",
  "float32",
  "float64",
  "bytes",
  "date",
  "uuid",
  "json",
] as const;
const timeKinds = ["time", "timestamp", "timestamptz"] as const;

/**
 * A canonical type as the parameter `datatrace.type` has it: `int32`, `decimal(10,2)`, `string(50)`, `timestamp(6)`,
 * `enum`, `array<decimal(10,2)>`. The values of an enum stand in `allowed` or `datatrace.values`.
 */
export function typeText(type: CanonicalType): string {
  switch (type.kind) {
    case "array":
      return `array<${typeText(type.element)}>`;
    case "decimal":
      return type.precision === undefined && type.scale === undefined
        ? "decimal"
        : `decimal(${type.precision ?? ""},${type.scale ?? ""})`;
    case "string":
      return type.length === undefined ? "string" : `string(${type.length})`;
    case "time":
    case "timestamp":
    case "timestamptz":
      return `${type.kind}(${type.precision})`;
    case "boolean":
    case "int16":
    case "int32":
    case "int64":
    case "float32":
    case "float64":
    case "bytes":
    case "date":
    case "uuid":
    case "json":
    case "enum":
      return type.kind;
    default:
      return type satisfies never;
  }
}

/** The other way round; null for a text of a version that knows more kinds. */
export function parseTypeText(text: string, enumValues: readonly string[]): CanonicalType | null {
  const array = /^array<(.*)>$/.exec(text);
  if (array === null) return parseScalar(text, enumValues);
  const element = parseScalar(array[1] ?? "", enumValues);
  return element === null ? null : { kind: "array", element };
}

function parseScalar(text: string, enumValues: readonly string[]): ScalarType | null {
  const match = /^([a-z0-9]+)(?:\((-?\d*)(?:,(-?\d*))?\))?$/.exec(text);
  if (match === null) return null;
  const [, kind, first = "", second = ""] = match;
  const plain = plainKinds.find((name) => name === kind);
  if (plain !== undefined) return { kind: plain };
  const timed = timeKinds.find((name) => name === kind);
  if (timed !== undefined) return first === "" ? null : { kind: timed, precision: Number(first) };
  if (kind === "enum") return { kind: "enum", values: enumValues };
  if (kind === "string") return { kind: "string", ...(first === "" ? {} : { length: Number(first) }) };
  if (kind !== "decimal") return null;
  return {
    kind: "decimal",
    ...(first === "" ? {} : { precision: Number(first) }),
    ...(second === "" ? {} : { scale: Number(second) }),
  };
}
