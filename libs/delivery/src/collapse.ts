import { UNCHANGED } from "@datatrace/core";
import type { PartialUpdate, Row, Rows, Value } from "@datatrace/core";
import type { RowEvent } from "./row-event.ts";

/** What is left of several changes of one key, the last of which is partial. */
interface Folded {
  readonly key: Uint8Array;
  /** The delete that came before, with nothing full after it. */
  readonly deleted: RowEvent | null;
  /** The row to write, with `UNCHANGED` cells while it is partial. */
  readonly row: Row;
  readonly partial: boolean;
  readonly ask: boolean;
}

/** A change that stands for all of its key before it, or what several came to. */
type KeyOutcome = RowEvent | Folded;

/** Changes of one partition, at most one of each key, ready for `TableChanges`. */
export interface CollapsedChanges {
  readonly deletes: Rows;
  readonly upserts: Rows;
  readonly partials: readonly PartialUpdate[];
}

/** `UNCHANGED` cells of `row` taken from `earlier`, which may itself have some. */
function filled(row: Row, earlier: Row): Row {
  return row.map((value, index): Value => (value === UNCHANGED ? (earlier[index] ?? null) : value));
}

/**
 * Folds changes in log order into the last one per key, so that applying the result once ends in the same rows as
 * applying each change in turn (I4): a full row replaces all before it, a partial one is filled from the row before it,
 * a delete forgets both.
 */
export class Collapse {
  readonly #topic: string;
  readonly #keys = new Map<string, KeyOutcome>();

  constructor(topic: string) {
    this.#topic = topic;
  }

  /** Takes no row apart unless it is partial and follows another of its key. */
  add(event: RowEvent): void {
    const known = event.kind === "upsert" && event.partial ? this.#keys.get(event.keyId) : undefined;
    this.#keys.set(event.keyId, known === undefined ? event : folded(known, event));
  }

  /** Identities of the keys for which a request made earlier is answered by a full row, or pointless after a delete. */
  *settledKeys(): Iterable<string> {
    for (const [keyId, outcome] of this.#keys) {
      if (!outcome.partial || ("deleted" in outcome && outcome.deleted !== null)) yield keyId;
    }
  }

  /** Whole rows are decoded when they are looked at. @throws what `RowEvent.row` throws, for a partial row */
  changes(): CollapsedChanges {
    const deletes = new OutcomeRows();
    const upserts = new OutcomeRows();
    const partials: PartialUpdate[] = [];
    for (const outcome of this.#keys.values()) {
      if ("kind" in outcome && outcome.kind === "delete") {
        deletes.add(outcome);
        continue;
      }
      if ("deleted" in outcome && outcome.deleted !== null) deletes.add(outcome.deleted);
      if (!outcome.partial) {
        upserts.add(outcome);
        continue;
      }
      const { key, row, ask } = outcome;
      partials.push({ row, topic: this.#topic, key, ask });
    }
    return { deletes, upserts, partials };
  }
}

/** The row of each, made with each look. */
class OutcomeRows implements Rows {
  readonly #outcomes: { readonly row: Row }[] = [];

  get length(): number {
    return this.#outcomes.length;
  }

  add(outcome: { readonly row: Row }): void {
    this.#outcomes.push(outcome);
  }

  slice(start: number, end: number): readonly Row[] {
    return this.#outcomes.slice(start, end).map(({ row }) => row);
  }

  *[Symbol.iterator](): Iterator<Row> {
    for (const { row } of this.#outcomes) yield row;
  }
}

/** A partial change after what is known of its key. */
function folded(known: KeyOutcome, event: RowEvent): Folded {
  const { key } = known;
  if ("kind" in known && known.kind === "delete") {
    return { key, deleted: known, row: event.row, partial: true, ask: event.ask };
  }
  return {
    key,
    deleted: "deleted" in known ? known.deleted : null,
    row: filled(event.row, known.row),
    // Only a full row makes it whole: two partial ones that complete each other still need a row to be there.
    partial: known.partial,
    // Of two partial changes each would have asked for itself.
    ask: known.partial && (known.ask || event.ask),
  };
}
