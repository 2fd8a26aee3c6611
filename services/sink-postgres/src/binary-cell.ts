import type { CanonicalKind, Value } from "@datatrace/core";
import { daysInMonth, daysOf } from "@datatrace/postgres";
import type { BindMessage } from "@datatrace/postgres";
import type { TargetType } from "./target-catalog.ts";

/**
 * Writes a cell's length and its bytes, as the `*_recv` function of its type reads them, at `at` and moves that on;
 * false when the value has no such form.
 */
export type WriteCell = (into: BindMessage, value: Value) => boolean;

/** Bytes of a cell's length. */
const lengthBytes = 4;

/** Writes a value of fixed size at a place. */
type WriteFixed = (into: Buffer, at: number, value: Value) => boolean;

function fixed(sizeBytes: number, write: WriteFixed): WriteCell {
  return (into, value) => {
    into.reserve(lengthBytes + sizeBytes);
    const { buffer, at } = into;
    if (!write(buffer, at + lengthBytes, value)) return false;
    buffer.writeInt32BE(sizeBytes, at);
    into.at = at + lengthBytes + sizeBytes;
    return true;
  };
}

/** Days and microseconds from 1970 to 2000, where PostgreSQL counts from. */
const epochDays = 10_957;
const epochUs = 946_684_800_000_000;
const dayUs = 86_400_000_000;

function writeWhole(into: Buffer, at: number, value: number | bigint): boolean {
  if (typeof value === "bigint") {
    if (BigInt.asIntN(64, value) !== value) return false;
    into.writeBigInt64BE(value, at);
    return true;
  }
  if (!Number.isSafeInteger(value)) return false;
  into.writeInt32BE(Math.floor(value / 4_294_967_296), at);
  into.writeUInt32BE(value >>> 0, at + 4);
  return true;
}

const int2 = fixed(2, (into, at, value) => {
  if (typeof value !== "number" || (value << 16) >> 16 !== value) return false;
  into.writeInt16BE(value, at);
  return true;
});

function writeInt4(into: Buffer, at: number, value: Value): boolean {
  if (typeof value !== "number" || (value | 0) !== value) return false;
  into.writeInt32BE(value, at);
  return true;
}

const int4 = fixed(4, writeInt4);

const int8 = fixed(
  8,
  (into, at, value) => (typeof value === "number" || typeof value === "bigint") && writeWhole(into, at, value),
);

const float4 = fixed(4, (into, at, value) => {
  if (typeof value !== "number") return false;
  into.writeFloatBE(value, at);
  return true;
});

const float8 = fixed(8, (into, at, value) => {
  if (typeof value !== "number") return false;
  into.writeDoubleBE(value, at);
  return true;
});

const bool = fixed(1, (into, at, value) => {
  if (typeof value !== "boolean") return false;
  into[at] = value ? 1 : 0;
  return true;
});

const date = fixed(4, (into, at, value) => typeof value === "number" && writeInt4(into, at, value - epochDays));

const timestamp = fixed(8, (into, at, value) => {
  if (typeof value === "number" && Number.isSafeInteger(value - epochUs)) return writeWhole(into, at, value - epochUs);
  if (typeof value !== "bigint" && !Number.isSafeInteger(value)) return false;
  return writeWhole(into, at, BigInt(value as number | bigint) - BigInt(epochUs));
});

/** `2026-01-02T03:04:05.678901Z`, the one form that such a value has. */
const instantLength = 27;

const timestamptz = fixed(8, (into, at, value) => {
  if (typeof value !== "string" || value.length !== instantLength) return false;
  const [year, month, day] = [digits(value, 0, 4), digits(value, 5, 2), digits(value, 8, 2)];
  const [hour, minute, second] = [digits(value, 11, 2), digits(value, 14, 2), digits(value, 17, 2)];
  // Another database's topic may hold what is no time at all: the server is to say so.
  if (!(month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month))) return false;
  if (!(hour < 24 && minute < 60 && second < 60)) return false;
  const us = (hour * 3600 + minute * 60 + second) * 1_000_000 + digits(value, 20, 6);
  const days = daysOf(year, month, day) - epochDays;
  if (Number.isNaN(us)) return false;
  const exact = days * dayUs + us;
  return writeWhole(into, at, Number.isSafeInteger(exact) ? exact : BigInt(days) * BigInt(dayUs) + BigInt(us));
});

/** NaN when one is not a digit. */
function digits(text: string, from: number, count: number): number {
  let number = 0;
  for (let at = from; at < from + count; at += 1) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return Number.NaN;
    number = number * 10 + digit;
  }
  return number;
}

/** Up to here a loop over characters beats the call into the runtime. */
const shortText = 16;

/** Writes UTF-8 behind a length and returns its end. There has to be room for three bytes a character. */
function writeUtf8(buffer: Buffer, start: number, text: string): number {
  const { length } = text;
  if (length <= shortText) {
    let at = 0;
    for (; at < length; at += 1) {
      const code = text.charCodeAt(at);
      if (code > 0x7f) break;
      buffer[start + at] = code;
    }
    if (at === length) return start + length;
  }
  return start + buffer.write(text, start);
}

function utf8(prefix: readonly number[]): WriteCell {
  return (into, value) => {
    if (typeof value !== "string") return false;
    into.reserve(lengthBytes + prefix.length + value.length * 3);
    const { buffer, at } = into;
    let start = at + lengthBytes;
    for (const byte of prefix) buffer[start++] = byte;
    const end = writeUtf8(buffer, start, value);
    buffer.writeInt32BE(end - at - lengthBytes, at);
    into.at = end;
    return true;
  };
}

const text = utf8([]);
/** `jsonb_recv`: a version before the text. */
const jsonb = utf8([1]);

const bytea: WriteCell = (into, value) => {
  if (!(value instanceof Uint8Array)) return false;
  into.reserve(lengthBytes + value.length);
  into.buffer.writeInt32BE(value.length, into.at);
  into.buffer.set(value, into.at + lengthBytes);
  into.at += lengthBytes + value.length;
  return true;
};

const uuidBytes = 16;
const uuidLength = 36;

const uuid = fixed(uuidBytes, (into, at, value) => {
  if (typeof value !== "string" || value.length !== uuidLength) return false;
  const hex = value.replaceAll("-", "");
  return hex.length === uuidBytes * 2 && into.write(hex, at, "hex") === uuidBytes;
});

const numericPositive = 0x00_00;
const numericNegative = 0x40_00;
/** Beyond it the text goes, and the server says what it thinks of so many digits. */
const longNumeric = 1_000;

/**
 * `numeric_recv`: how many groups of four digits, the power of 10,000 of the first, the sign, the digits after the
 * point, and the groups. The point lies between two groups.
 */
const numeric: WriteCell = (into, value) => {
  if (typeof value !== "string" || value.length > longNumeric) return false;
  const begin = value.startsWith("-") ? 1 : 0;
  const dot = value.indexOf(".", begin);
  const wholeEnd = dot < 0 ? value.length : dot;
  const scale = dot < 0 ? 0 : value.length - dot - 1;
  const wholeGroups = Math.ceil((wholeEnd - begin) / 4);
  const groups = wholeGroups + Math.ceil(scale / 4);
  if (groups === 0) return false;
  into.reserve(lengthBytes + 8 + groups * 2);
  const { buffer, at } = into;
  const first = at + lengthBytes + 8;
  let end = first;
  let weight = wholeGroups - 1;
  for (let group = 0; group < groups; group += 1) {
    const number =
      group < wholeGroups
        ? wholeGroup(value, begin, wholeEnd, group, wholeGroups)
        : fractionGroup(value, wholeEnd + 1 + (group - wholeGroups) * 4);
    if (Number.isNaN(number)) return false;
    if (number === 0 && end === first) weight -= 1;
    else end = buffer.writeUInt16BE(number, end);
  }
  while (end > first && buffer.readUInt16BE(end - 2) === 0) end -= 2;
  const isZero = end === first;
  buffer.writeInt32BE(end - at - lengthBytes, at);
  buffer.writeUInt16BE((end - first) / 2, at + 4);
  buffer.writeInt16BE(isZero ? 0 : weight, at + 6);
  buffer.writeUInt16BE(begin === 1 && !isZero ? numericNegative : numericPositive, at + 8);
  buffer.writeUInt16BE(scale, at + 10);
  into.at = end;
  return true;
};

/** The first group has what is left over when the others have four digits each. */
function wholeGroup(value: string, begin: number, end: number, group: number, groups: number): number {
  const to = end - (groups - 1 - group) * 4;
  const from = Math.max(begin, to - 4);
  return digits(value, from, to - from);
}

/** The last group is filled up with zeros. */
function fractionGroup(value: string, from: number): number {
  const count = Math.min(4, value.length - from);
  return digits(value, from, count) * 10 ** (4 - count);
}

/** By kind of value and by the type that takes it. What is not here goes as text. */
const formats: Readonly<Partial<Record<CanonicalKind, Readonly<Record<string, WriteCell>>>>> = {
  boolean: { bool },
  int16: { int2, int4, int8 },
  int32: { int4, int8 },
  int64: { int8 },
  float32: { float4 },
  float64: { float8 },
  decimal: { numeric },
  string: { text, varchar: text, bpchar: text },
  bytes: { bytea },
  date: { date },
  time: { time: int8 },
  timestamp: { timestamp },
  timestamptz: { timestamptz },
  uuid: { uuid },
  json: { json: text, jsonb },
};

/** How a value of this kind is sent to this type in binary; null where text is the way. */
export function binaryCell(kind: CanonicalKind, type: TargetType): WriteCell | null {
  return type.schema === "pg_catalog" ? (formats[kind]?.[type.name] ?? null) : null;
}
