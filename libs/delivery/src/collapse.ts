import { UNCHANGED } from "@datatrace/core";
import type { PartialUpdate, Row, Value } from "@datatrace/core";
import type { RowEvent } from "./row-event.ts";

/** What is left of all changes of one key: at most one row to write, and whether the key is deleted before that. */
interface KeyOutcome {
  readonly key: Uint8Array;
  /** A delete came, and nothing full came after it. */
  deleted: Row | null;
  /** The row to write, complete or with `UNCHANGED` cells; null after a delete. */
  row: Row | null;
  partial: boolean;
  ask: boolean;
}

/** Changes of one partition, at most one of each key, ready for `TableChanges`. */
export interface CollapsedChanges {
  readonly deletes: readonly Row[];
  readonly upserts: readonly Row[];
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

  add(event: RowEvent): void {
    const known = this.#keys.get(event.keyId);
    const outcome = known ?? { key: event.key, deleted: null, row: null, partial: false, ask: false };
    if (known === undefined) this.#keys.set(event.keyId, outcome);
    if (event.kind === "delete") {
      outcome.deleted = event.row;
      outcome.row = null;
      outcome.partial = false;
      outcome.ask = false;
      return;
    }
    if (!event.partial) {
      outcome.deleted = null;
      outcome.row = event.row;
      outcome.partial = false;
      outcome.ask = false;
      return;
    }
    const earlier = outcome.row;
    // Only a full row makes it whole: two partial ones that complete each other still need a row to be there.
    outcome.partial = earlier === null || outcome.partial;
    outcome.row = earlier === null ? event.row : filled(event.row, earlier);
    // Of two partial changes each would have asked for itself.
    outcome.ask = outcome.partial && (outcome.ask || event.ask);
  }

  /** Identities of the keys for which a request made earlier is answered by a full row, or pointless after a delete. */
  *settledKeys(): Iterable<string> {
    for (const [keyId, { deleted, partial }] of this.#keys) if (!partial || deleted !== null) yield keyId;
  }

  changes(): CollapsedChanges {
    const deletes: Row[] = [];
    const upserts: Row[] = [];
    const partials: PartialUpdate[] = [];
    for (const { key, deleted, row, partial, ask } of this.#keys.values()) {
      if (deleted !== null) deletes.push(deleted);
      if (row === null) continue;
      if (partial) partials.push({ row, topic: this.#topic, key, ask });
      else upserts.push(row);
    }
    return { deletes, upserts, partials };
  }
}
