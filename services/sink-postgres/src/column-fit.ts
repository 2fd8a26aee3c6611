import type { CanonicalType, Column, ScalarType } from "@datatrace/core";
import { typeEntry } from "@datatrace/postgres";
import type { TargetColumn, TargetType } from "./target-catalog.ts";

/** A type of the target with its modifier, decoded: the limits that a value could break. */
interface Capacity {
  readonly name: string;
  readonly labels: readonly string[] | null;
  /** Characters of varchar and char, digits of numeric, digits of a second. Null: no limit. */
  readonly length: number | null;
  readonly scale: number;
}

function capacity(type: TargetType, modifier: number): Capacity | null {
  const { name, labels } = type;
  if (type.kind === "e") return { name, labels, length: null, scale: 0 };
  if (type.kind === "b" && name === "citext") return { name, labels, length: null, scale: 0 };
  // A type of somebody else's may have the name of a built-in one.
  const entry = type.kind === "b" && type.schema === "pg_catalog" ? typeEntry(name) : null;
  if (entry === null) return null;
  const { length, scale } = entry.modifiers(modifier);
  return { name, labels, length: length ?? null, scale: scale ?? 0 };
}

/** The very type of the source, as `prepare` creates it. */
function isSame({ native }: Column, scalar: ScalarType, name: string, target: Capacity): boolean {
  if (scalar.kind === "enum") return false;
  const limits = typeEntry(name)?.canonical({ ...native, name });
  if (JSON.stringify(limits) !== JSON.stringify(scalar)) return false;
  return name === target.name && (native.length ?? null) === target.length && (native.scale ?? 0) === target.scale;
}

function holdsDigits(target: Capacity, whole: number, scale: number): boolean {
  if (target.name !== "numeric") return false;
  return target.length === null || (target.scale >= scale && target.length - target.scale >= whole);
}

function isText(name: string): boolean {
  return name === "text" || name === "varchar" || name === "citext";
}

function holdsText(target: Capacity, length: number | null): boolean {
  if (!isText(target.name)) return false;
  return target.length === null || (length !== null && target.length >= length);
}

const maxSecondDigits = 6;

function holdsTime(target: Capacity, name: string, precision: number): boolean {
  return target.name === name && (target.length ?? maxSecondDigits) >= precision;
}

/** True when every value of the source's type is held as it is: nothing rounded, cut, padded or normalised (I6). */
function holds(type: ScalarType, native: string, target: Capacity): boolean {
  switch (type.kind) {
    case "boolean":
      return target.name === "bool";
    case "int16":
      return ["int2", "int4", "int8"].includes(target.name) || holdsDigits(target, 5, 0);
    case "int32":
      return ["int4", "int8"].includes(target.name) || holdsDigits(target, 10, 0);
    case "int64":
      return target.name === "int8" || holdsDigits(target, 19, 0);
    case "float32":
      return target.name === "float4" || target.name === "float8";
    case "float64":
      return target.name === "float8";
    case "decimal":
      if (type.precision === undefined) return target.name === "numeric" && target.length === null;
      return holdsDigits(target, type.precision - (type.scale ?? 0), type.scale ?? 0);
    case "string":
      // char pads: only a char of the same length prints the same text.
      if (target.name === "bpchar") return native === "bpchar" && target.length === (type.length ?? null);
      return holdsText(target, type.length ?? null);
    case "bytes":
      return target.name === "bytea";
    case "date":
      return target.name === "date";
    case "time":
    case "timestamp":
    case "timestamptz":
      return holdsTime(target, type.kind, type.precision);
    case "uuid":
      return target.name === "uuid";
    case "json":
      // jsonb drops what json keeps: order, spaces, repeated names.
      return target.name === "json" || (target.name === "jsonb" && native !== "json");
    case "enum":
      if (target.labels === null)
        return holdsText(target, Math.max(0, ...type.values.map((value) => Array.from(value).length)));
      return type.values.every((value) => target.labels?.includes(value));
    default:
      return type satisfies never;
  }
}

/** True when the target's column can hold every value of the source's. */
export function fits(column: Column, target: TargetColumn): boolean {
  const { type } = column;
  const targetType = type.kind === "array" ? target.element : target.element === null ? target.type : null;
  if (targetType === null || target.computed) return false;
  const limits = capacity(targetType, target.modifier);
  if (limits === null) return false;
  const scalar = scalarOf(type);
  const name = type.kind === "array" ? column.native.name.replace(/^_/, "") : column.native.name;
  return isSame(column, scalar, name, limits) || holds(scalar, name, limits);
}

function scalarOf(type: CanonicalType): ScalarType {
  return type.kind === "array" ? type.element : type;
}

/**
 * True when equality in the target's column is equality of the values as they are: keys that differ at the source must
 * not meet in one row of the target.
 */
export function keepsKeysApart(column: Column, target: TargetColumn): boolean {
  if (!target.deterministic || target.type.name === "citext") return false;
  return target.type.name !== "bpchar" || column.native.name === "bpchar";
}
