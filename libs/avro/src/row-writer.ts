import { headers, invariant, type Row, SourceText, type TableSchema, UNCHANGED, type Value } from "@datatrace/core";
import type { ByteWriter } from "./byte-writer.ts";
import { type CellWriter, cellWriter } from "./cell-writer.ts";
import { unavailablePlaceholder, zeroOf } from "./placeholder.ts";

/**
 * A row has a null in a column that its schema calls NOT NULL (the stream of a source may not know about nullability).
 * Nothing was encoded: register the table with that column nullable, and encode again.
 */
export class UnexpectedNull extends Error {
  /** Index into `TableSchema.columns`. */
  readonly column: number;

  constructor(column: number) {
    super(`null in the required column ${column}`);
    this.name = "UnexpectedNull";
    this.column = column;
  }
}

/**
 * What a row is in its event. `after` is the row as it is now, `before` a full old one beside it. `deleted` is the old
 * row of a delete: cells that are not known are null, and a NOT NULL column then holds its type's zero.
 */
export type RowRole = "after" | "before" | "deleted";

interface ColumnWriter {
  /** Percent-encoded, as it stands in headers. */
  readonly headerName: string;
  readonly nullable: boolean;
  readonly write: CellWriter;
  readonly zero: Value;
  /** Null where the type has no placeholder. */
  readonly unavailable: Value;
}

/** Writes rows of one table as the Avro record `Value`, and notes in headers what Avro cannot say of their cells. */
export class RowWriter {
  readonly #columns: readonly ColumnWriter[];
  #unchanged: string[] = [];
  #texts: [name: string, text: string][] = [];

  constructor(schema: TableSchema) {
    this.#columns = schema.columns.map((column) => ({
      headerName: encodeURIComponent(column.name),
      nullable: column.nullable,
      write: cellWriter(column),
      zero: zeroOf(column.type),
      unavailable: unavailablePlaceholder(column.type),
    }));
  }

  /** Forgets what an earlier event left. */
  begin(): void {
    if (this.#unchanged.length > 0) this.#unchanged = [];
    if (this.#texts.length > 0) this.#texts = [];
  }

  /** Null when no cell written since `begin` needs a header. */
  headers(): Record<string, string> | null {
    if (this.#unchanged.length === 0 && this.#texts.length === 0) return null;
    const noted: Record<string, string> = Object.fromEntries(this.#texts);
    if (this.#unchanged.length > 0) noted[headers.unchanged] = this.#unchanged.join(",");
    return noted;
  }

  /** @throws UnexpectedNull */
  write(writer: ByteWriter, row: Row, role: RowRole): void {
    const columns = this.#columns;
    invariant(row.length === columns.length, "a row has as many cells as its schema has columns");
    for (let i = 0; i < columns.length; i += 1) {
      const column = columns[i] as ColumnWriter;
      const value = row[i] as Value;
      if (value === null) {
        if (column.nullable) writer.byte(0);
        else if (role === "deleted") column.write(writer, column.zero);
        else throw new UnexpectedNull(i);
      } else if (typeof value === "symbol" || value instanceof SourceText) {
        this.#writeAbsent(writer, column, value, role);
      } else {
        if (column.nullable) writer.byte(2);
        column.write(writer, value);
      }
    }
  }

  #writeAbsent(writer: ByteWriter, column: ColumnWriter, value: SourceText | typeof UNCHANGED, role: RowRole): void {
    let shown: Value = null;
    if (value instanceof SourceText) {
      const prefix = role === "before" ? headers.beforeTextPrefix : headers.textPrefix;
      this.#texts.push([prefix + column.headerName, value.text]);
    } else if (role === "after") {
      this.#unchanged.push(column.headerName);
      shown = column.unavailable;
    } else {
      invariant(role === "deleted", "an old row is full or left out");
    }
    if (column.nullable) writer.byte(shown === null ? 0 : 2);
    if (shown !== null) column.write(writer, shown);
    else if (!column.nullable) column.write(writer, column.zero);
  }
}
