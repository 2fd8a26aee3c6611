import { SourceText } from "@datatrace/core";
import type { CanonicalType, ScalarType } from "@datatrace/core";
import { arrayDecoder } from "./array-text.ts";
import type { TextDecoder } from "./array-text.ts";
import { daysOf } from "./calendar.ts";

/** An enum's label that is none of the schema's: the type has grown since, and the schema must be read again. */
export class UnknownLabel extends Error {
  constructor() {
    super("a label that the schema's enum does not have");
    this.name = "UnknownLabel";
  }
}

/** The text does not have the form that its type prints: the source is not what it says it is. Carries no value (I8). */
export class MalformedText extends Error {
  constructor(kind: string) {
    super(`not the text of a ${kind}`);
    this.name = "MalformedText";
  }
}

/** @throws UnknownLabel, MalformedText when called */
export function textDecoder(type: CanonicalType): TextDecoder {
  return type.kind === "array" ? arrayDecoder(scalarDecoder(type.element)) : scalarDecoder(type);
}

function scalarDecoder(type: ScalarType): TextDecoder {
  return type.kind === "enum" ? enumDecoder(type.values) : decoders[type.kind];
}

const zero = 0x30;
const minus = 0x2d;
const colon = 0x3a;

function decodeString(bytes: Buffer, start: number, end: number): string {
  return bytes.toString("utf8", start, end);
}

function sourceText(bytes: Buffer, start: number, end: number): SourceText {
  return new SourceText(bytes.toString("utf8", start, end));
}

function decodeBoolean(bytes: Buffer, start: number): boolean {
  const first = bytes[start];
  if (first === 0x74) return true;
  if (first === 0x66) return false;
  throw new MalformedText("boolean");
}

/** Digits only; at most 15 of them, so that the sum is exact. */
function digits(bytes: Buffer, start: number, end: number): number {
  let sum = 0;
  for (let at = start; at < end; at += 1) {
    const digit = (bytes[at] ?? 0) - zero;
    if (digit < 0 || digit > 9) throw new MalformedText("number");
    sum = sum * 10 + digit;
  }
  return sum;
}

function decodeInteger(bytes: Buffer, start: number, end: number): number {
  if (start === end) throw new MalformedText("number");
  return bytes[start] === minus ? -digits(bytes, start + 1, end) : digits(bytes, start, end);
}

function decodeBigInteger(bytes: Buffer, start: number, end: number): number | bigint {
  if (end - start <= 15) return decodeInteger(bytes, start, end);
  const exact = BigInt(bytes.toString("latin1", start, end));
  const number = Number(exact);
  return Number.isSafeInteger(number) ? number : exact;
}

function decodeFloat(bytes: Buffer, start: number, end: number): number {
  const text = bytes.toString("latin1", start, end);
  const number = Number(text);
  if (text === "" || (Number.isNaN(number) && text !== "NaN")) throw new MalformedText("number");
  return number;
}

function decodeDecimal(bytes: Buffer, start: number, end: number): string | SourceText {
  const last = bytes[end - 1];
  // `NaN`, `Infinity` and `-Infinity` are the only texts that do not end in a digit.
  if (last === undefined || last < zero || last > 0x39) return sourceText(bytes, start, end);
  return bytes.toString("latin1", start, end);
}

/** `\x` and two hexadecimal digits a byte. */
function decodeBytes(bytes: Buffer, start: number, end: number): Uint8Array {
  if (bytes[start] !== 0x5c || bytes[start + 1] !== 0x78) throw new MalformedText("bytea");
  const decoded = Buffer.from(bytes.toString("latin1", start + 2, end), "hex");
  if (decoded.length * 2 !== end - start - 2) throw new MalformedText("bytea");
  return decoded;
}

/** `2026-01-02`: days since 1970-01-01, or null for any other form (infinity, BC, a year of five digits). */
function daysAt(bytes: Buffer, start: number, end: number): number | null {
  if (end - start !== 10 || bytes[start + 4] !== minus || bytes[start + 7] !== minus) return null;
  return daysOf(digits(bytes, start, start + 4), digits(bytes, start + 5, start + 7), digits(bytes, start + 8, end));
}

function decodeDate(bytes: Buffer, start: number, end: number): number | SourceText {
  return daysAt(bytes, start, end) ?? sourceText(bytes, start, end);
}

/** `03:04:05` or `03:04:05.6789`: microseconds since midnight. */
function decodeTime(bytes: Buffer, start: number, end: number): number {
  const fractionDigits = end - start - 9;
  if (bytes[start + 2] !== colon || bytes[start + 5] !== colon || fractionDigits > 6) throw new MalformedText("time");
  const seconds =
    digits(bytes, start, start + 2) * 3600 +
    digits(bytes, start + 3, start + 5) * 60 +
    digits(bytes, start + 6, start + 8);
  if (fractionDigits <= 0) return seconds * 1_000_000;
  return seconds * 1_000_000 + digits(bytes, start + 9, end) * 10 ** (6 - fractionDigits);
}

const zoneLength = 3;

/** A space after ten characters: a year of four digits; a time after it that ends at `end`: no `BC`. */
function isOrdinary(bytes: Buffer, start: number, end: number): boolean {
  const last = bytes[end - 1] ?? 0;
  return end - start >= 19 && bytes[start + 10] === 0x20 && last >= zero && last <= 0x39;
}

function decodeTimestamp(bytes: Buffer, start: number, end: number): number | bigint | SourceText {
  const days = isOrdinary(bytes, start, end) ? daysAt(bytes, start, start + 10) : null;
  if (days === null) return sourceText(bytes, start, end);
  const timeUs = decodeTime(bytes, start + 11, end);
  const us = days * 86_400_000_000 + timeUs;
  return Number.isSafeInteger(us) ? us : BigInt(days) * 86_400_000_000n + BigInt(timeUs);
}

/** `2026-01-02 03:04:05.6789+00`, as it prints with the time zone UTC. */
function decodeTimestamptz(bytes: Buffer, start: number, end: number): string | SourceText {
  const clockEnd = end - zoneLength;
  // `infinity` and `… BC` end in a letter.
  if ((bytes[end - 1] ?? 0) > 0x39 || !isOrdinary(bytes, start, clockEnd)) return sourceText(bytes, start, end);
  if (bytes.toString("latin1", clockEnd, end) !== "+00") throw new MalformedText("timestamptz in UTC");
  const text = bytes.toString("latin1", start, clockEnd);
  const fraction = text.slice(20).padEnd(6, "0");
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${fraction}Z`;
}

function enumDecoder(values: readonly string[]): TextDecoder {
  const labels = new Set(values);
  return (bytes, start, end) => {
    const label = bytes.toString("utf8", start, end);
    if (!labels.has(label)) throw new UnknownLabel();
    return label;
  };
}

const decoders: Readonly<Record<Exclude<ScalarType["kind"], "enum">, TextDecoder>> = {
  boolean: decodeBoolean,
  int16: decodeInteger,
  int32: decodeInteger,
  int64: decodeBigInteger,
  float32: (bytes, start, end) => Math.fround(decodeFloat(bytes, start, end)),
  float64: decodeFloat,
  decimal: decodeDecimal,
  string: decodeString,
  bytes: decodeBytes,
  date: decodeDate,
  time: decodeTime,
  timestamp: decodeTimestamp,
  timestamptz: decodeTimestamptz,
  uuid: decodeString,
  json: decodeString,
};
