import type { ErrorCode } from "./errors.ts";
import type { TableName } from "./table-schema.ts";

/**
 * Where a captured table stands. `pending`: known, snapshot not begun. `snapshotting`: chunks are read while changes
 * stream. `streaming`: the snapshot is complete (or was not wanted). `done`: mode `snapshot`, complete. `parked`: this
 * table has stopped, with its error; nothing more of it is published.
 */
export type TablePhase = "pending" | "snapshotting" | "streaming" | "done" | "parked";

/** What everyone may read of a capture's state topic: the value is JSON with at least these fields, the key `table:<schema>.<table>`. */
export interface PublishedTable {
  readonly table: TableName;
  readonly topic: string;
  readonly partitions: number;
  readonly phase: TablePhase;
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly fix: string } | null;
  readonly rowsRead: number;
  readonly estimatedRows: number;
}

const prefix = "table:";

/** Key of a table's record in the state topic. */
export function publishedTableKey(id: string): string {
  return prefix + id;
}

/** Reads a record of a state topic: null when it is not a table's (or is a tombstone). */
export function parsePublishedTable(key: Uint8Array | null, value: Uint8Array | null): PublishedTable | null {
  if (key === null || value === null) return null;
  const text = new TextDecoder();
  if (!text.decode(key).startsWith(prefix)) return null;
  return JSON.parse(text.decode(value)) as PublishedTable;
}
