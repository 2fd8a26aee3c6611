import { SourceText, UNCHANGED, invariant } from "@datatrace/core";
import type { CanonicalType, ScalarType, Value } from "@datatrace/core";
import { arrayElementText } from "./array-text.ts";
import { dateText, timeText } from "./calendar.ts";

/** Text that the input function of the column's type reads as exactly this value; null for SQL NULL. Never `UNCHANGED`. */
export type TextEncoder = (value: Value) => string | null;

/** The other way of `textDecoder`: decoding what PostgreSQL prints for the text gives the same value again. */
export function textEncoder(type: CanonicalType): TextEncoder {
  const plain = type.kind === "array" ? arrayEncoder(type.element) : scalarEncoders[type.kind];
  return (value) => {
    if (value === null) return null;
    if (value instanceof SourceText) return value.text;
    invariant(value !== UNCHANGED, "a column that was left out has no text");
    return plain(value);
  };
}

type Plain = Exclude<Value, null | SourceText | typeof UNCHANGED>;

function arrayEncoder(element: ScalarType): (value: Plain) => string {
  const encode = textEncoder(element);
  return (value) => {
    invariant(Array.isArray(value), "an array column holds an array");
    return `{${value.map((item: Value) => arrayElementText(encode(item))).join(",")}}`;
  };
}

// String(-0) is "0".
const floatText = (value: Plain): string => (Object.is(value, -0) ? "-0" : `${value as number}`);
const plainText = (value: Plain): string => (typeof value === "string" ? value : (value as number | bigint).toString());

const scalarEncoders: Readonly<Record<ScalarType["kind"], (value: Plain) => string>> = {
  boolean: (value) => (value === true ? "t" : "f"),
  int16: plainText,
  int32: plainText,
  int64: plainText,
  float32: floatText,
  float64: floatText,
  decimal: plainText,
  string: plainText,
  bytes: bytesText,
  date: (value) => dateText(value as number),
  time: (value) => timeText(value as number),
  timestamp: timestampText,
  timestamptz: plainText,
  uuid: plainText,
  json: plainText,
  enum: plainText,
};

function bytesText(value: Plain): string {
  const { buffer, byteOffset, byteLength } = value as Uint8Array;
  return `\\x${Buffer.from(buffer, byteOffset, byteLength).toString("hex")}`;
}

const dayUs = 86_400_000_000n;

function timestampText(value: Plain): string {
  if (typeof value === "number") {
    const days = Math.floor(value / 86_400_000_000);
    return `${dateText(days)} ${timeText(value - days * 86_400_000_000)}`;
  }
  const us = value as bigint;
  const rest = ((us % dayUs) + dayUs) % dayUs;
  return `${dateText(Number((us - rest) / dayUs))} ${timeText(Number(rest))}`;
}
