/**
 * The types that every database library maps its native types to and from (one table file per database). In-memory
 * values of each kind, as they travel in a `Row`:
 *
 * | kind | value |
 * |---|---|
 * | boolean | boolean |
 * | int16, int32 | number |
 * | int64 | number where it is a safe integer, else bigint |
 * | float32, float64 | number, NaN and ±Infinity included, -0 kept |
 * | decimal | string, plain decimal notation; with a scale it has exactly that many digits after the point |
 * | string, json, uuid, enum | string |
 * | bytes | Uint8Array |
 * | date | number: days since 1970-01-01 |
 * | time | number: microseconds since midnight; 24:00:00 is 86400000000 |
 * | timestamp | microseconds since 1970-01-01T00:00:00 on the wall clock: number where safe, else bigint |
 * | timestamptz | string: ISO 8601 in UTC with six digits, `2026-01-02T03:04:05.678901Z` |
 * | array | readonly Value[] of the element's values, null allowed |
 *
 * SQL NULL is `null`. A value that its kind cannot hold (NaN in a sized numeric, infinity in a date, a year outside
 * 1-9999 in a timestamptz) is a `SourceText`.
 */
export type CanonicalType =
  | { readonly kind: "boolean" }
  | { readonly kind: "int16" }
  | { readonly kind: "int32" }
  | { readonly kind: "int64" }
  | { readonly kind: "float32" }
  | { readonly kind: "float64" }
  /** Without precision and scale: any number of digits. */
  | { readonly kind: "decimal"; readonly precision?: number; readonly scale?: number }
  /** `length` in characters, left out when unbounded. */
  | { readonly kind: "string"; readonly length?: number }
  | { readonly kind: "bytes" }
  | { readonly kind: "date" }
  /** `precision` = digits of a second, 0-6. */
  | { readonly kind: "time"; readonly precision: number }
  | { readonly kind: "timestamp"; readonly precision: number }
  | { readonly kind: "timestamptz"; readonly precision: number }
  | { readonly kind: "uuid" }
  | { readonly kind: "json" }
  | { readonly kind: "enum"; readonly values: readonly string[] }
  /** One dimension, lower bound 1. */
  | { readonly kind: "array"; readonly element: ScalarType };

export type ScalarType = Exclude<CanonicalType, { readonly kind: "array" }>;
export type CanonicalKind = CanonicalType["kind"];
