import { type EncodedEvent, keyIdentity, keyJson, rowKeyIdentity } from "@datatrace/avro";
import { headers, invariant, type LogHeaders, type Row, type RowChange, UNCHANGED, type Value } from "@datatrace/core";
import { type Draft, rowFollows } from "./draft.ts";
import { keyOfRow } from "./key-row.ts";
import type { TableBinding, TableSet } from "./table-set.ts";

type Update = Extract<RowChange, { readonly kind: "update" }>;
type Insert = Extract<RowChange, { readonly kind: "insert" }>;
type Delete = Extract<RowChange, { readonly kind: "delete" }>;

/**
 * Writes raw changes of the stream as events, and notes them in the windows of chunks in flight. A call that throws
 * (`UnexpectedNull`, `source.key_unsupported`) has written and noted nothing: it may be made again.
 */
export class EventWriter {
  /** When the batch is handled, in microseconds since the epoch. */
  processedTsUs = 0;
  readonly #tables: TableSet;

  constructor(tables: TableSet) {
    this.#tables = tables;
  }

  write(draft: Draft, binding: TableBinding, change: RowChange): void {
    switch (change.kind) {
      case "insert":
        this.#insert(draft, binding, change);
        break;
      case "update":
        this.#update(draft, binding, change);
        break;
      case "delete":
        this.#delete(draft, binding, change);
        break;
    }
  }

  #insert(draft: Draft, { table, version }: TableBinding, { after, origin }: Insert): void {
    const { processedTsUs } = this;
    const event = version.encoder.encode({ op: "c", before: null, after, origin, snapshot: "false", processedTsUs });
    draft.event(table, "c", event);
    if (table.windows.size === 0) return;
    const key = identityOf(event);
    for (const window of table.windows) {
      window.note(version);
      window.full(key);
    }
  }

  #delete(draft: Draft, { table, version }: TableBinding, { before, origin }: Delete): void {
    const { processedTsUs } = this;
    const event = version.encoder.encode({ op: "d", before, after: null, origin, snapshot: "false", processedTsUs });
    draft.event(table, "d", event);
    draft.tombstone(table, event);
    if (table.windows.size === 0) return;
    const key = identityOf(event);
    for (const window of table.windows) {
      window.note(version);
      window.deleted(key);
    }
  }

  #update(draft: Draft, binding: TableBinding, change: Update): void {
    const { table, version } = binding;
    const { before, oldKey, origin } = change;
    const after = filled(change.after, before);
    const partial = after.includes(UNCHANGED);
    if (oldKey !== null) {
      const oldIdentity = rowKeyIdentity(version.schema, oldKey);
      const identity = rowKeyIdentity(version.schema, after);
      // Equal in the log although the source printed them differently (1.0 and 1.00): the key has not changed.
      if (oldIdentity !== identity) {
        this.#moveKey(draft, binding, change, after, partial, oldIdentity, identity);
        return;
      }
    }
    const { processedTsUs } = this;
    const updated = { op: "u", before, after, origin, snapshot: "false", processedTsUs } as const;
    const follows = partial && this.#rowFollows(binding, after);
    const event = version.encoder.encode(follows ? { ...updated, headers: rowFollows } : updated);
    draft.event(table, "u", event);
    if (table.windows.size === 0) return;
    const key = identityOf(event);
    for (const window of table.windows) {
      window.note(version);
      if (partial) window.partial(key, after);
      else window.full(key);
    }
  }

  /** delete(old) + tombstone + insert(new), next to each other in one append. */
  #moveKey(
    draft: Draft,
    { table, version }: TableBinding,
    { before, oldKey, origin }: Update,
    after: Row,
    partial: boolean,
    oldIdentity: string,
    identity: string,
  ): void {
    invariant(oldKey !== null, "a key change has its old key");
    const { processedTsUs } = this;
    const common = { origin, snapshot: "false", processedTsUs } as const;
    const moved: LogHeaders = { [headers.oldKey]: keyJson(version.schema, oldKey) };
    const deleted = version.encoder.encode({
      ...common,
      op: "d",
      before: before ?? oldKey,
      after: null,
      headers: { [headers.newKey]: keyJson(version.schema, after) },
    });
    const inserted = version.encoder.encode({
      ...common,
      op: "c",
      before: null,
      after,
      headers: partial ? { ...moved, ...rowFollows } : moved,
    });
    draft.event(table, "d", deleted);
    draft.tombstone(table, deleted);
    draft.event(table, "c", inserted);
    // No event has the whole row: it is read again until an `r` of it is published (I3).
    if (partial) {
      table.reread(identity, keyOfRow(version.schema, after));
      this.#tables.touch(table);
    }
    for (const window of table.windows) {
      window.note(version);
      window.deleted(oldIdentity);
      if (partial) window.incomplete(identity);
      else window.full(identity);
    }
  }

  #rowFollows({ table, version }: TableBinding, after: Row): boolean {
    if (table.snapshotOpen) return true;
    return table.rereads.ownSize > 0 && table.rereads.follows(rowKeyIdentity(version.schema, after));
  }
}

function identityOf(event: EncodedEvent): string {
  invariant(event.key !== null, "a captured table has a key");
  return keyIdentity(event.key);
}

/** Columns that the update left out, from the old row where the source sent it. */
function filled(after: Row, before: Row | null): Row {
  if (before === null || !after.includes(UNCHANGED)) return after;
  return after.map((cell, index): Value => (cell === UNCHANGED ? (before[index] ?? null) : cell));
}
