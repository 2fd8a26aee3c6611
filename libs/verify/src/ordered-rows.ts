/** One row as text. Two rows are equal exactly when both texts are: the reader pins every setting that prints a value. */
export interface OrderedRow {
  /** Text of the key columns; NULL and empty text differ. */
  readonly key: string;
  /** Text of all columns, key included. */
  readonly row: string;
}

/**
 * Reads one table of one side, in one snapshot, in the byte order of the keys' UTF-8. Batches may have any size; the
 * next is fetched only when asked for, so that a table of any size is compared in constant memory.
 */
export interface OrderedRows {
  /** Names of the columns in the order that `row` prints them. */
  columns(signal: AbortSignal): Promise<readonly string[]>;
  read(columns: readonly string[], signal: AbortSignal): AsyncIterable<readonly OrderedRow[]>;
}
