import {
  DataTraceError,
  invariant,
  type Row,
  SourceText,
  tableId,
  type TableSchema,
  type Value,
} from "@datatrace/core";
import { ByteWriter } from "./byte-writer.ts";
import { type CellWriter, keyCellWriter } from "./cell-writer.ts";
import { bodyIdentity } from "./wire-format.ts";

/** Writes the key of a row as Avro, in its canonical form. */
export class KeyWriter {
  readonly #schema: TableSchema;
  readonly #cells: readonly { readonly index: number; readonly write: CellWriter }[];

  constructor(schema: TableSchema) {
    this.#schema = schema;
    this.#cells = schema.key.map((index) => {
      const column = schema.columns[index];
      invariant(column !== undefined, "a key index names a column");
      return { index, write: keyCellWriter(column) };
    });
  }

  write(writer: ByteWriter, row: Row): void {
    for (const { index, write } of this.#cells) {
      const value = row[index] as Value;
      // Two such keys would become one in the log (I6).
      if (value instanceof SourceText) throw this.#unsupported(index);
      invariant(value !== null && typeof value !== "symbol", "every cell of a key is known");
      write(writer, value);
    }
  }

  #unsupported(index: number): DataTraceError {
    return new DataTraceError("source.key_unsupported", {
      message: "A key holds a value that its column's type cannot hold in the log.",
      detail: { table: tableId(this.#schema.name), column: this.#schema.columns[index]?.name ?? "" },
    });
  }
}

const keyWriters = new WeakMap<TableSchema, KeyWriter>();
const scratch = new ByteWriter();

/** One writer per version of a table. */
export function keyWriterOf(schema: TableSchema): KeyWriter {
  let writer = keyWriters.get(schema);
  if (writer === undefined) {
    writer = new KeyWriter(schema);
    keyWriters.set(schema, writer);
  }
  return writer;
}

/**
 * What `keyIdentity` gives for this row's key once it is in the log: for windows that compare chunk rows with changes.
 * Only the key cells of `row` are read.
 * @throws DataTraceError `source.key_unsupported` when a key cell is a `SourceText`.
 */
export function rowKeyIdentity(schema: TableSchema, row: Row): string {
  scratch.begin();
  keyWriterOf(schema).write(scratch, row);
  return bodyIdentity(scratch.slab.subarray(scratch.start, scratch.at), 0);
}
