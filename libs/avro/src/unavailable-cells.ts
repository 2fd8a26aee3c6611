import { type CanonicalType, UNCHANGED, type Value } from "@datatrace/core";
import type { ReadColumn } from "./column-type.ts";
import { unavailableHstore, unavailablePlaceholder } from "./placeholder.ts";

interface Candidate {
  readonly index: number;
  readonly placeholders: readonly Value[];
}

/**
 * Finds the columns that an update of Debezium's left out. Only the value says so there (our own topics have a header
 * for it), so a row that really holds Debezium's placeholder cannot be told from one that holds something else.
 */
export class UnavailableCells {
  readonly #candidates: readonly Candidate[];

  constructor(columns: readonly ReadColumn[]) {
    this.#candidates = columns.flatMap(({ own, column }, index): readonly Candidate[] => {
      const placeholders = own ? [] : placeholdersOf(column.type);
      return placeholders.length === 0 ? [] : [{ index, placeholders }];
    });
  }

  /** Changes `row` in place. Columns of the key (their indexes) are never left out. */
  mark(row: Value[], key: readonly number[]): void {
    for (const { index, placeholders } of this.#candidates) {
      if (key.includes(index)) continue;
      const value = row[index] ?? null;
      if (placeholders.some((placeholder) => isSame(value, placeholder))) row[index] = UNCHANGED;
    }
  }
}

function placeholdersOf(type: CanonicalType): readonly Value[] {
  const plain = unavailablePlaceholder(type);
  if (plain === null) return [];
  // An hstore is written as the JSON of one entry.
  return type.kind === "json" ? [plain, unavailableHstore] : [plain];
}

function isSame(value: Value, placeholder: Value): boolean {
  if (value instanceof Uint8Array) return placeholder instanceof Uint8Array && Buffer.compare(value, placeholder) === 0;
  if (!Array.isArray(value)) return value === placeholder;
  const items = value as readonly Value[];
  return (
    Array.isArray(placeholder) &&
    items.length === placeholder.length &&
    items.every((item, at) => isSame(item, (placeholder as readonly Value[])[at] ?? null))
  );
}
