import type { CanonicalType } from "./canonical-type.ts";

export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** The type as its own database names it, so that a sink of the same family makes the very same column again. */
export interface NativeType {
  /** Such as `numeric`, `varchar`, `_int4`; for an enum its own name. */
  readonly name: string;
  /** Characters of a varchar or char, precision of a numeric, time or timestamp. */
  readonly length?: number;
  readonly scale?: number;
}

export interface Column {
  readonly name: string;
  readonly type: CanonicalType;
  readonly native: NativeType;
  readonly nullable: boolean;
  /**
   * What tells a column from another of the same name that was dropped, where the source has such a thing (PostgreSQL:
   * `attnum`). Compared, never interpreted, by everyone but its source.
   */
  readonly number?: number;
}

/** One version of a table's shape. Immutable: a changed table is another object, so `===` tells versions apart. */
export interface TableSchema {
  readonly name: TableName;
  readonly columns: readonly Column[];
  /** Indexes into `columns` of the key, in key order; empty for a table without a key. */
  readonly key: readonly number[];
}

/** `schema.table`, for messages, metrics and maps (not quoted, not for SQL). */
export function tableId(name: TableName): string {
  return `${name.schema}.${name.table}`;
}
