/** One row as text. Two rows are equal exactly when both texts are: the reader pins every setting that prints a value. */
export interface TextRow {
  /** Text of the key columns; NULL and empty text differ. */
  readonly key: string;
  /** Text of all columns asked for. */
  readonly row: string;
}

/**
 * Reads one table of one database, in one snapshot, in the byte order of the keys' UTF-8, each key once. Batches may
 * have any size; the next is fetched only when pulled, so that a table of any size is read in constant memory.
 */
export interface RowReader {
  /** Names of the table's columns in its own order. */
  columns(signal: AbortSignal): Promise<readonly string[]>;
  /** `row` prints these columns in this order. */
  read(columns: readonly string[], signal: AbortSignal): AsyncIterable<readonly TextRow[]>;
}
