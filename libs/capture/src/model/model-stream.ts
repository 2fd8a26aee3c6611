import {
  type ChangeOrigin,
  type Position,
  type Row,
  type RowChange,
  type SourceEvent,
  type TableSchema,
} from "@datatrace/core";
import type { ModelChange, ModelDatabase } from "./model-database.ts";

/** A place in the model's log. */
export interface Place {
  /** Entries of the log that lie before it. */
  readonly entry: number;
  /** Changes of that entry that lie before it. */
  readonly index: number;
}

/** Puts events of one log entry behind each other, up to `limit` changes. @returns the place after them. */
export function emit(
  database: ModelDatabase,
  place: Place,
  events: SourceEvent[],
  limit: number,
  schemas: Map<string, TableSchema>,
): Place {
  const entry = database.wal[place.entry];
  if (entry === undefined) return place;
  const after = { entry: place.entry + 1, index: 0 };
  if (entry.kind === "publication") return after;
  if (entry.kind === "lost") {
    events.push(entry.event);
    return after;
  }
  const commit = { kind: "commit", txId: entry.tx.id } as const;
  const begin = { kind: "begin", txId: entry.tx.id, commitTsUs: 1_700_000_000_000_000 + place.entry } as const;
  if (entry.kind === "watermark") {
    events.push(begin, { kind: "watermark", id: entry.id }, commit);
    return after;
  }
  const published = publishedAt(database, place.entry);
  const changes = entry.changes.slice(place.index, place.index + limit);
  const wanted = changes.flatMap((change, n) =>
    published.has(change.table.id) ? [rowChange(change, place.entry, place.index + n, schemas)] : [],
  );
  const index = place.index + changes.length;
  const ends = index === entry.changes.length;
  if (wanted.length > 0 || (ends && entry.changes.some((change) => published.has(change.table.id)))) {
    events.push(begin, ...wanted);
    if (ends) events.push(commit);
  }
  return ends ? after : { entry: place.entry, index };
}

/** What the stream carries at this place of the log. */
export function publishedAt(database: ModelDatabase, entry: number): ReadonlySet<string> {
  for (let at = entry - 1; at >= 0; at -= 1) {
    const publication = database.wal[at];
    if (publication?.kind === "publication") return publication.tables;
  }
  return new Set();
}

function rowChange(change: ModelChange, entry: number, index: number, schemas: Map<string, TableSchema>): RowChange {
  const { kind, table, columns } = change;
  const origin: ChangeOrigin = { tsUs: 1_700_000_000_000_000 + entry, sequence: null, fields: [index, entry] };
  // One object per version and connection, as a stream has it.
  const name = `${table.id} ${columns}`;
  const schema = schemas.get(name) ?? table.schema(columns);
  schemas.set(name, schema);
  const keyRow = (key: number): Row => [key, ...Array.from({ length: columns - 1 }, () => null)];
  switch (kind) {
    case "insert":
      return { kind, schema, after: change.after, origin };
    case "update":
      return {
        kind,
        schema,
        before: null,
        oldKey: change.oldKey === null ? null : keyRow(change.oldKey),
        after: change.after,
        origin,
      };
    case "delete":
      return { kind, schema, before: keyRow(change.key), beforeIsFull: false, origin };
  }
}

export function format({ entry, index }: Place): Position {
  return `${entry}/${index}` as Position;
}

export function parse(position: Position): Place {
  const [entry = "0", index = "0"] = position.split("/");
  return { entry: Number(entry), index: Number(index) };
}
