import { headers, type LogHeaders, SourceText, UNCHANGED, type Value } from "@datatrace/core";
import { type ByteReader, CorruptBytes } from "./byte-reader.ts";
import { type CellReader, cellReader } from "./cell-reader.ts";
import type { AvroField } from "./avro-schema.ts";
import type { ReadColumn } from "./column-type.ts";

/**
 * Debezium writes an infinite timestamp as one of two numbers, which in our own topics are just numbers (an infinite
 * one is a `SourceText` there). Milliseconds have been made microseconds by now.
 */
const infinities = new Map<Value, string>(
  [1n, 1000n].flatMap((unit) => [
    [9_223_372_036_825_200_000n * unit, "infinity"],
    [-9_223_372_036_832_400_000n * unit, "-infinity"],
  ]),
);

function withInfinity(read: CellReader): CellReader {
  return (reader) => {
    const value = read(reader);
    const text = typeof value === "bigint" ? infinities.get(value) : undefined;
    return text === undefined ? value : new SourceText(text);
  };
}

/** Reads the cells of a record, a list in the order of its fields. */
export class CellsReader {
  readonly #cells: readonly CellReader[];

  constructor(fields: readonly AvroField[], columns: readonly ReadColumn[]) {
    this.#cells = fields.map((field, at) => {
      const { wire, own, column } = columns[at] as ReadColumn;
      const read = cellReader(field.node, wire);
      return own || column.type.kind !== "timestamp" ? read : withInfinity(read);
    });
  }

  read(reader: ByteReader): Value[] {
    // Not by `push`: a list that grows costs more than reading its cells.
    return this.#cells.map((cell) => cell(reader));
  }
}

/** Puts back into rows what Avro could not hold, from an event's headers. */
export class AbsentCells {
  readonly #indexes: ReadonlyMap<string, number>;

  constructor(columns: readonly ReadColumn[]) {
    this.#indexes = new Map(columns.map((read, index) => [encodeURIComponent(read.column.name), index]));
  }

  /** `row` is the row that the event is about, `old` the one beside it in an update. Both are changed in place. */
  restore(noted: LogHeaders, row: Value[], old: Value[] | null): void {
    for (const name in noted) {
      if (name === headers.unchanged) {
        for (const column of (noted[name] ?? "").split(",")) row[this.#index(column)] = UNCHANGED;
      } else if (name.startsWith(headers.textPrefix)) {
        row[this.#index(name.slice(headers.textPrefix.length))] = new SourceText(noted[name] ?? "");
      } else if (old !== null && name.startsWith(headers.beforeTextPrefix)) {
        old[this.#index(name.slice(headers.beforeTextPrefix.length))] = new SourceText(noted[name] ?? "");
      }
    }
  }

  #index(encodedName: string): number {
    const index = this.#indexes.get(encodedName);
    if (index === undefined) throw new CorruptBytes("a header names a column that the schema does not have");
    return index;
  }
}
