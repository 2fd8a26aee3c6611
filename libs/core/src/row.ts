/** A large column that an update did not touch and that the source left out (PostgreSQL: unchanged TOAST). */
export const UNCHANGED: unique symbol = Symbol("unchanged");

/**
 * A value that the column's canonical type cannot hold, as the source prints it. In the log the column is null or a
 * placeholder and the header `datatrace.text.<column>` has this text; a target uses it or refuses it (I6).
 */
export class SourceText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** One cell, by the table in `canonical-type.ts`. */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | SourceText
  | typeof UNCHANGED
  | readonly Value[];

/** Cells aligned with `TableSchema.columns`. */
export type Row = readonly Value[];
