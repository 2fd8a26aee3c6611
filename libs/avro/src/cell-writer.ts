import { invariant, type Column, type ScalarType, type Value } from "@datatrace/core";
import type { ByteWriter } from "./byte-writer.ts";
import { atScale, parseDecimal, withoutTrailingZeros } from "./decimal.ts";
import { isAvroDecimal } from "./wire-type.ts";

/** Writes one value that is not null, `UNCHANGED` or a `SourceText`. */
export type CellWriter = (writer: ByteWriter, value: Value) => void;

/** Length of `2026-01-02T03:04:05.678901Z`, the only form in which an instant travels in memory. */
const instantLength = 27;

/** A cell of a row: every detail of the value is kept. */
export function cellWriter(column: Column): CellWriter {
  const { type } = column;
  return type.kind === "array" ? arrayWriter(scalarWriter(type.element)) : scalarWriter(type);
}

/**
 * A cell of a key: equal values become equal bytes. A zero at the end of a decimal's fraction, the sign of a float's
 * zero and the blanks that pad a char(n) are left out. A decimal with a scale of its own is written at that scale,
 * which is one form already.
 */
export function keyCellWriter(column: Column): CellWriter {
  const { type, native } = column;
  return type.kind === "array"
    ? arrayWriter(keyScalarWriter(type.element, native.name === "_bpchar"))
    : keyScalarWriter(type, native.name === "bpchar");
}

function keyScalarWriter(type: ScalarType, blankPadded: boolean): CellWriter {
  const { kind } = type;
  if (kind === "float32") return (writer, value) => writer.float(oneZero(numberOf(value)));
  if (kind === "float64") return (writer, value) => writer.double(oneZero(numberOf(value)));
  if (kind === "decimal" && !isAvroDecimal(type)) return writeShortestDecimal;
  if (kind === "string" && blankPadded) return (writer, value) => writer.string(withoutPadding(textOf(value)));
  return scalarWriter(type);
}

function scalarWriter(type: ScalarType): CellWriter {
  switch (type.kind) {
    case "boolean":
      return writeBoolean;
    case "int16":
    case "int32":
    case "date":
      return writeInt;
    case "int64":
      return writeLong;
    case "float32":
      return (writer, value) => writer.float(numberOf(value));
    case "float64":
      return (writer, value) => writer.double(numberOf(value));
    case "decimal": {
      if (!isAvroDecimal(type)) return writeDecimal;
      const { scale } = type;
      return (writer, value) => writer.twosComplement(atScale(parseDecimal(textOf(value)), scale));
    }
    case "string":
    case "uuid":
    case "json":
    case "enum":
      return writeText;
    case "bytes":
      return writeBytes;
    case "time":
      return type.precision <= 3 ? writeTimeMillis : writeLong;
    case "timestamp":
      return type.precision <= 3 ? writeTimestampMillis : writeLong;
    case "timestamptz":
      return type.precision >= 6 ? writeText : instantWriter(type.precision);
    default:
      return type satisfies never;
  }
}

function arrayWriter(element: CellWriter): CellWriter {
  return (writer, value) => {
    invariant(Array.isArray(value), "an array cell is not a list");
    const items = value as readonly Value[];
    if (items.length > 0) {
      writer.int(items.length);
      for (const item of items) {
        if (item === null) writer.byte(0);
        else {
          writer.byte(2);
          element(writer, item);
        }
      }
    }
    writer.byte(0);
  };
}

function writeBoolean(writer: ByteWriter, value: Value): void {
  invariant(typeof value === "boolean", "a boolean cell is not a boolean");
  writer.byte(value ? 1 : 0);
}

function writeInt(writer: ByteWriter, value: Value): void {
  invariant(typeof value === "number" && (value | 0) === value, "an int cell is not an integer of 32 bits");
  writer.int(value);
}

function writeLong(writer: ByteWriter, value: Value): void {
  invariant(typeof value === "number" || typeof value === "bigint", "a long cell is not an integer");
  writer.long(value);
}

function writeText(writer: ByteWriter, value: Value): void {
  writer.string(textOf(value));
}

function writeBytes(writer: ByteWriter, value: Value): void {
  invariant(value instanceof Uint8Array, "a bytes cell is not a Uint8Array");
  writer.bytes(value);
}

function writeDecimal(writer: ByteWriter, value: Value): void {
  const { unscaled, scale } = parseDecimal(textOf(value));
  writer.int(scale);
  writer.twosComplement(unscaled);
}

function writeShortestDecimal(writer: ByteWriter, value: Value): void {
  const { unscaled, scale } = withoutTrailingZeros(parseDecimal(textOf(value)));
  writer.int(scale);
  writer.twosComplement(unscaled);
}

function writeTimeMillis(writer: ByteWriter, value: Value): void {
  const micros = numberOf(value);
  invariant(micros % 1000 === 0, "a time has more digits than its column's precision");
  writer.int(micros / 1000);
}

function writeTimestampMillis(writer: ByteWriter, value: Value): void {
  if (typeof value === "bigint") {
    invariant(value % 1000n === 0n, "a timestamp has more digits than its column's precision");
    writer.long(value / 1000n);
    return;
  }
  const micros = numberOf(value);
  invariant(micros % 1000 === 0, "a timestamp has more digits than its column's precision");
  writer.long(micros / 1000);
}

/** As many digits as the column has, as Debezium prints them; the reader fills up to six again. */
function instantWriter(precision: number): CellWriter {
  const keptLength = precision === 0 ? 19 : 20 + precision;
  const zeros = "0".repeat(6 - precision);
  return (writer, value) => {
    const text = textOf(value);
    const fits = text.length === instantLength && text.endsWith(`${zeros}Z`);
    writer.string(fits ? `${text.slice(0, keptLength)}Z` : text);
  };
}

function numberOf(value: Value): number {
  invariant(typeof value === "number", "a cell is not a number");
  return value;
}

function textOf(value: Value): string {
  invariant(typeof value === "string", "a cell is not a text");
  return value;
}

/** -0 and 0 are equal, and so are all NaNs. */
function oneZero(value: number): number {
  if (value === 0) return 0;
  return Number.isNaN(value) ? Number.NaN : value;
}

function withoutPadding(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 32) end -= 1;
  return end === text.length ? text : text.slice(0, end);
}
