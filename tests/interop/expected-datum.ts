import type { CanonicalType, Value } from "@datatrace/core";
import type { TaggedDatum } from "./fastavro.ts";

/** What an independent reader must see of a cell, by the type tables of the contract and not by our encoder. */
export function expectedCell(type: CanonicalType, value: Value): TaggedDatum {
  if (value === null) return null;
  switch (type.kind) {
    case "array":
      return (value as readonly Value[]).map((item) => expectedCell(type.element, item));
    case "int16":
    case "int32":
    case "int64":
    case "date":
      return integer(BigInt(value as number | bigint));
    case "time":
    case "timestamp":
      return integer(BigInt(value as number | bigint) / (type.precision <= 3 ? 1000n : 1n));
    case "float32":
      return floating(Math.fround(value as number));
    case "float64":
      return floating(value as number);
    case "bytes":
      return { bytes: Buffer.from(value as Uint8Array).toString("hex") };
    case "decimal":
      return expectedDecimal(type, value as string);
    case "timestamptz":
      return (value as string).replace(/\.(\d{6})Z$/, (_, digits: string) => fraction(digits.slice(0, type.precision)));
    case "boolean":
    case "string":
    case "uuid":
    case "json":
    case "enum":
      return value as boolean | string;
    default:
      return type satisfies never;
  }
}

function fraction(digits: string): string {
  return digits === "" ? "Z" : `.${digits}Z`;
}

export function integer(value: bigint): TaggedDatum {
  return { int: value.toString() };
}

function floating(value: number): TaggedDatum {
  if (Number.isNaN(value)) return { float: "nan" };
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return { float: bytes.toString("hex") };
}

/** Avro's own decimal, or the record that carries the scale with each value. */
function expectedDecimal(type: { readonly precision?: number; readonly scale?: number }, text: string): TaggedDatum {
  const { precision = 0, scale = -1 } = type;
  if (precision > 0 && scale >= 0 && scale <= precision) return { decimal: text };
  const [, digits = ""] = text.split(".");
  return { scale: integer(BigInt(digits.length)), value: { bytes: twosComplementHex(BigInt(text.replace(".", ""))) } };
}

function twosComplementHex(value: bigint): string {
  let sizeBytes = 1n;
  while (value >= 1n << (sizeBytes * 8n - 1n) || value < -(1n << (sizeBytes * 8n - 1n))) sizeBytes += 1n;
  return BigInt.asUintN(Number(sizeBytes) * 8, value)
    .toString(16)
    .padStart(Number(sizeBytes) * 2, "0");
}
