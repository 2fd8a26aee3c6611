import type { CanonicalKind, Row, Value } from "@datatrace/core";
import { typeEntry } from "@datatrace/postgres";
import type { TargetType } from "./target-catalog.ts";

/** One column of these rows as an array in PostgreSQL's binary format; null when a cell has no such form. */
export type BinaryColumn = (rows: readonly Row[], index: number) => Buffer | null;

/** Writes one cell at a place of the buffer; false when its value does not fit the type. */
type WriteCell = (into: Buffer, at: number, value: Value) => boolean;

interface Format {
  readonly sizeBytes: number;
  readonly write: WriteCell;
}

/** Days and microseconds from 1970 to 2000, where PostgreSQL counts from. */
const epochDays = 10_957;
const epochUs = 946_684_800_000_000;

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

const int2: Format = {
  sizeBytes: 2,
  write: (into, at, value) => {
    if (typeof value !== "number" || (value << 16) >> 16 !== value) return false;
    into.writeInt16BE(value, at);
    return true;
  },
};

const int4: Format = {
  sizeBytes: 4,
  write: (into, at, value) => {
    if (typeof value !== "number" || (value | 0) !== value) return false;
    into.writeInt32BE(value, at);
    return true;
  },
};

const int8: Format = {
  sizeBytes: 8,
  write: (into, at, value) => (typeof value === "number" || typeof value === "bigint") && writeWhole(into, at, value),
};

const float4: Format = {
  sizeBytes: 4,
  write: (into, at, value) => {
    if (typeof value !== "number") return false;
    into.writeFloatBE(value, at);
    return true;
  },
};

const float8: Format = {
  sizeBytes: 8,
  write: (into, at, value) => {
    if (typeof value !== "number") return false;
    into.writeDoubleBE(value, at);
    return true;
  },
};

const date: Format = {
  sizeBytes: 4,
  write: (into, at, value) => typeof value === "number" && int4.write(into, at, value - epochDays),
};

const timestamp: Format = {
  sizeBytes: 8,
  write: (into, at, value) => {
    if (typeof value === "number") return writeWhole(into, at, value - epochUs);
    return typeof value === "bigint" && writeWhole(into, at, value - BigInt(epochUs));
  },
};

/** Kinds whose value is a number here and a number of fixed size there, by the types that hold them. */
const formats: Readonly<Partial<Record<CanonicalKind, Readonly<Record<string, Format>>>>> = {
  int16: { int2, int4, int8 },
  int32: { int4, int8 },
  int64: { int8 },
  float32: { float4 },
  float64: { float8 },
  date: { date },
  time: { time: int8 },
  timestamp: { timestamp },
};

/** Dimensions, flags, element type, length, lower bound: `array_recv`. */
const headerBytes = 20;
const lengthBytes = 4;

/**
 * How a column of this kind is sent to this type in binary, which costs both sides far less than printing and reading
 * numbers; null where text is the way.
 */
export function binaryColumn(kind: CanonicalKind, type: TargetType): BinaryColumn | null {
  const format = type.schema === "pg_catalog" ? formats[kind]?.[type.name] : undefined;
  const entry = typeEntry(type.name);
  if (format === undefined || entry === null) return null;
  return (rows, index) => encode(rows, index, entry.oid, format);
}

function encode(rows: readonly Row[], index: number, oid: number, { sizeBytes, write }: Format): Buffer | null {
  const buffer = Buffer.allocUnsafe(headerBytes + rows.length * (lengthBytes + sizeBytes));
  let at = headerBytes;
  let nulls = 0;
  for (let place = 0; place < rows.length; place += 1) {
    const value = rows[place]?.[index];
    if (value === undefined) return null;
    if (value === null) {
      nulls = 1;
      at = buffer.writeInt32BE(-1, at);
      continue;
    }
    at = buffer.writeInt32BE(sizeBytes, at);
    if (!write(buffer, at, value)) return null;
    at += sizeBytes;
  }
  buffer.writeInt32BE(1, 0);
  buffer.writeInt32BE(nulls, 4);
  buffer.writeInt32BE(oid, 8);
  buffer.writeInt32BE(rows.length, 12);
  buffer.writeInt32BE(1, 16);
  return buffer.subarray(0, at);
}
