import { SourceText } from "@datatrace/core";
import type { Value } from "@datatrace/core";

/** Whether two cells of one column are the same value, by content. */
export function sameValue(one: Value, other: Value): boolean {
  if (Object.is(one, other)) return true;
  if (one instanceof Uint8Array) return other instanceof Uint8Array && Buffer.compare(one, other) === 0;
  if (one instanceof SourceText) return other instanceof SourceText && one.text === other.text;
  if (!Array.isArray(one) || !Array.isArray(other) || one.length !== other.length) return false;
  return one.every((item: Value, index) => sameValue(item, (other as readonly Value[])[index] ?? null));
}
