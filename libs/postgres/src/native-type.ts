import type { CanonicalType, NativeType, ScalarType } from "@datatrace/core";

/** One type of PostgreSQL that this version carries. The one table of types: decoding, DDL and documentation come from it. */
export interface TypeEntry {
  /** `pg_type.typname`, and `NativeType.name`. */
  readonly name: string;
  /** Object ids fixed in every PostgreSQL: the type, and the array of it. */
  readonly oid: number;
  readonly arrayOid: number;
  readonly canonical: (native: NativeType) => ScalarType;
  /** Reads `pg_attribute.atttypmod` (-1 = none). */
  readonly modifiers: (typmod: number) => Omit<NativeType, "name">;
  /** What a reader of the documentation must know beside that it is carried. */
  readonly note: string;
}

const none = (): Omit<NativeType, "name"> => ({});
/** varchar(n), char(n): the modifier is n + 4. */
const characters = (typmod: number): Omit<NativeType, "name"> => (typmod < 4 ? {} : { length: typmod - 4 });
/** time(p), timestamp(p): the modifier is p. */
const secondDigits = (typmod: number): Omit<NativeType, "name"> => (typmod < 0 ? {} : { length: typmod });

/** numeric(p,s): precision in the upper 16 bits, scale as 11 bits with sign (negative since PostgreSQL 15). */
function numericModifiers(typmod: number): Omit<NativeType, "name"> {
  if (typmod < 4) return {};
  const packed = typmod - 4;
  return { length: (packed >> 16) & 0xff_ff, scale: ((packed & 0x7_ff) ^ 0x4_00) - 0x4_00 };
}

/**
 * numeric(5,-2) holds whole numbers of up to 7 digits; numeric(2,5) has 5 digits after the point, the first 3 of them
 * zero. Avro's decimal knows neither, so the canonical type is the smallest ordinary one that holds every value.
 */
function numericType({ length, scale }: NativeType): ScalarType {
  if (length === undefined) return { kind: "decimal" };
  const digits = scale ?? 0;
  if (digits < 0) return { kind: "decimal", precision: length - digits, scale: 0 };
  return { kind: "decimal", precision: Math.max(length, digits), scale: digits };
}

const text = ({ length }: NativeType): ScalarType =>
  length === undefined ? { kind: "string" } : { kind: "string", length };

const outside = "`infinity`, years before 1 and after 9999 travel as the source's text";

export const typeTable: readonly TypeEntry[] = [
  { name: "bool", oid: 16, arrayOid: 1000, canonical: () => ({ kind: "boolean" }), modifiers: none, note: "" },
  { name: "int2", oid: 21, arrayOid: 1005, canonical: () => ({ kind: "int16" }), modifiers: none, note: "" },
  { name: "int4", oid: 23, arrayOid: 1007, canonical: () => ({ kind: "int32" }), modifiers: none, note: "" },
  { name: "int8", oid: 20, arrayOid: 1016, canonical: () => ({ kind: "int64" }), modifiers: none, note: "" },
  {
    name: "float4",
    oid: 700,
    arrayOid: 1021,
    canonical: () => ({ kind: "float32" }),
    modifiers: none,
    note: "every bit pattern but the payload of NaN is kept: `-0`, `Infinity` and `NaN` too",
  },
  {
    name: "float8",
    oid: 701,
    arrayOid: 1022,
    canonical: () => ({ kind: "float64" }),
    modifiers: none,
    note: "as float4",
  },
  {
    name: "numeric",
    oid: 1700,
    arrayOid: 1231,
    canonical: numericType,
    modifiers: numericModifiers,
    note:
      "`NaN` and `Infinity` travel as the source's text; digits after the point are kept as they are (`1.50`). " +
      "A negative scale is carried as whole numbers, a scale above the precision as that many digits after the point; " +
      "a target before PostgreSQL 15 cannot make such a column",
  },
  { name: "text", oid: 25, arrayOid: 1009, canonical: text, modifiers: none, note: "" },
  { name: "varchar", oid: 1043, arrayOid: 1015, canonical: text, modifiers: characters, note: "" },
  {
    name: "bpchar",
    oid: 1042,
    arrayOid: 1014,
    canonical: text,
    modifiers: characters,
    note: "`char(n)`: padded with blanks, as PostgreSQL prints it",
  },
  { name: "bytea", oid: 17, arrayOid: 1001, canonical: () => ({ kind: "bytes" }), modifiers: none, note: "" },
  { name: "date", oid: 1082, arrayOid: 1182, canonical: () => ({ kind: "date" }), modifiers: none, note: outside },
  {
    name: "time",
    oid: 1083,
    arrayOid: 1183,
    canonical: ({ length }) => ({ kind: "time", precision: length ?? 6 }),
    modifiers: secondDigits,
    note: "`24:00:00` is kept",
  },
  {
    name: "timestamp",
    oid: 1114,
    arrayOid: 1115,
    canonical: ({ length }) => ({ kind: "timestamp", precision: length ?? 6 }),
    modifiers: secondDigits,
    note: outside,
  },
  {
    name: "timestamptz",
    oid: 1184,
    arrayOid: 1185,
    canonical: ({ length }) => ({ kind: "timestamptz", precision: length ?? 6 }),
    modifiers: secondDigits,
    note: `in UTC; ${outside}`,
  },
  { name: "uuid", oid: 2950, arrayOid: 2951, canonical: () => ({ kind: "uuid" }), modifiers: none, note: "" },
  {
    name: "json",
    oid: 114,
    arrayOid: 199,
    canonical: () => ({ kind: "json" }),
    modifiers: none,
    note: "byte for byte, white space included",
  },
  {
    name: "jsonb",
    oid: 3802,
    arrayOid: 3807,
    canonical: () => ({ kind: "json" }),
    modifiers: none,
    note: "as PostgreSQL prints it; numbers keep every digit",
  },
];

const byName = new Map(typeTable.map((entry) => [entry.name, entry]));
const byOid = new Map(typeTable.map((entry) => [entry.oid, entry]));
const byArrayOid = new Map(typeTable.map((entry) => [entry.arrayOid, entry]));

/** A column's type in both languages. */
export interface CarriedType {
  readonly type: CanonicalType;
  readonly native: NativeType;
}

/** The type of a column as the catalog and the Relation message name it; null when it is none of the table's. */
export function builtinType(oid: number, typmod: number): CarriedType | null {
  const scalar = byOid.get(oid);
  if (scalar !== undefined) {
    const native = { name: scalar.name, ...scalar.modifiers(typmod) };
    return { type: scalar.canonical(native), native };
  }
  const element = byArrayOid.get(oid);
  if (element === undefined) return null;
  const native = { name: `_${element.name}`, ...element.modifiers(typmod) };
  return { type: { kind: "array", element: element.canonical(native) }, native };
}

/** An enum, or an array of one. `name` is the enum's own, without its schema. */
export function enumType(name: string, values: readonly string[], isArray: boolean): CarriedType {
  const type = { kind: "enum", values } as const;
  return isArray
    ? { type: { kind: "array", element: type }, native: { name: `_${name}` } }
    : { type, native: { name } };
}

/** The table's entry of a native scalar name (not of an array); null for an enum or a type of another database. */
export function typeEntry(name: string): TypeEntry | null {
  return byName.get(name) ?? null;
}
