import type { CanonicalType, NativeType } from "@datatrace/core";

/** The same kind with the same limits; the labels of an enum in the same order. */
export function sameType(one: CanonicalType, other: CanonicalType): boolean {
  if (one.kind === "array") return other.kind === "array" && sameType(one.element, other.element);
  if (one.kind === "enum") return other.kind === "enum" && sameLabels(one.values, other.values);
  return one.kind === other.kind && limits(one) === limits(other);
}

export function sameNative(one: NativeType, other: NativeType): boolean {
  return one.name === other.name && one.length === other.length && one.scale === other.scale;
}

function sameLabels(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((label, index) => label === other[index]);
}

function limits(type: CanonicalType): string {
  const { precision, scale, length } = type as { precision?: number; scale?: number; length?: number };
  return `${precision ?? ""},${scale ?? ""},${length ?? ""}`;
}
