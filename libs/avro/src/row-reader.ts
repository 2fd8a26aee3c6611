import { headers, type LogHeaders, SourceText, UNCHANGED, type Value } from "@datatrace/core";
import { type ByteReader, CorruptBytes } from "./byte-reader.ts";
import { type CellReader, cellReader } from "./cell-reader.ts";
import type { AvroField } from "./avro-schema.ts";
import type { ReadColumn } from "./column-type.ts";

/** Reads the cells of a record, a list in the order of its fields. */
export class CellsReader {
  readonly #cells: readonly CellReader[];

  constructor(fields: readonly AvroField[], columns: readonly ReadColumn[]) {
    this.#cells = fields.map((field, at) => cellReader(field.node, (columns[at] as ReadColumn).wire));
  }

  read(reader: ByteReader): Value[] {
    const cells = this.#cells;
    const row: Value[] = [];
    for (let i = 0; i < cells.length; i += 1) row.push((cells[i] as CellReader)(reader));
    return row;
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
