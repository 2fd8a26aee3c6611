import type { Ledger, LedgerEntry } from "./ledger.ts";

/** A record of a table's topic, as far as the audit looks at it. */
export interface LoggedChange {
  readonly table: string;
  readonly partition: number;
  readonly offset: bigint;
  /** `keyText` of the Avro key. */
  readonly key: string;
  readonly op: "insert" | "update" | "delete" | "read" | "tombstone";
  /** `chg` of the row after the change; null for deletes and tombstones. */
  readonly chg: number | null;
  /** Low 32 bits of the source's transaction id; null for rows read and for tombstones. */
  readonly txId: number | null;
}

/** What the audit found wrong. All zero, and no broken key, is the only pass. */
export interface AuditResult {
  readonly changes: number;
  readonly reads: number;
  readonly keys: number;
  /** Committed changes that the log lacks. */
  readonly missing: number;
  /** Changes that the log holds more than once, or that were never committed. */
  readonly surplus: number;
  /** Keys whose changes are all there, in another order or with another content. */
  readonly misordered: number;
  /** Rows read (`r`) that are older than a change of their key before them. */
  readonly staleReads: number;
  /** Transactions of which the log has a part. */
  readonly tornTransactions: number;
  /** Deletes without a tombstone right behind, and tombstones without a delete. */
  readonly tombstones: number;
  /** Keys seen in more than one partition. */
  readonly movedKeys: number;
  readonly failures: number;
  /** The first few, for a person. The workload's rows are random: nothing to keep secret. */
  readonly examples: readonly string[];
}

interface KeyHistory {
  readonly partition: number;
  readonly changes: LoggedChange[];
  /** Rows read, each with how many changes of its key lay before it. */
  readonly reads: { readonly before: number; readonly chg: number | null }[];
  openDelete: boolean;
}

const maxExamples = 12;

/**
 * Compares the log with the ledger: every committed change exactly once, the changes of each key in their order (I3,
 * I4). Feed each partition's records in offset order with `add`, then ask for the `result`.
 */
export class LogAudit {
  readonly #tables = new Map<string, Map<string, KeyHistory>>();
  readonly #examples: string[] = [];
  #changes = 0;
  #reads = 0;
  #tombstones = 0;
  #movedKeys = 0;

  add(change: LoggedChange): void {
    const history = this.#history(change);
    if (history.partition !== change.partition) {
      this.#movedKeys += 1;
      this.#example("key in two partitions", change.table, change.key);
    }
    const wantsTombstone = history.openDelete;
    history.openDelete = change.op === "delete";
    if (wantsTombstone !== (change.op === "tombstone")) {
      this.#tombstones += 1;
      this.#example("tombstone", change.table, change.key);
    }
    if (change.op === "tombstone") return;
    if (change.op === "read") {
      this.#reads += 1;
      history.reads.push({ before: history.changes.length, chg: change.chg });
      return;
    }
    this.#changes += 1;
    history.changes.push(change);
  }

  result(ledger: Ledger): AuditResult {
    const counts = { missing: 0, surplus: 0, misordered: 0, staleReads: 0 };
    const dropped = new Map<string, number>();
    const kept = new Set<string>();
    let keys = 0;
    const tables = new Set([...ledger.keys(), ...this.#tables.keys()]);
    for (const table of tables) {
      const expectedKeys = ledger.get(table) ?? new Map<string, readonly LedgerEntry[]>();
      const actualKeys = this.#tables.get(table) ?? new Map<string, KeyHistory>();
      for (const key of new Set([...expectedKeys.keys(), ...actualKeys.keys()])) {
        keys += 1;
        const all = expectedKeys.get(key) ?? [];
        const history = actualKeys.get(key);
        const actual = history?.changes ?? [];
        const before = earlyBefore(all, actual);
        for (const entry of all.slice(0, before)) dropped.set(entry.xid, (dropped.get(entry.xid) ?? 0) + 1);
        const expected = all.slice(before);
        for (const entry of expected) kept.add(entry.xid);
        const difference = compareHistories(expected, actual);
        counts.missing += difference.missing;
        counts.surplus += difference.surplus;
        counts.misordered += difference.misordered ? 1 : 0;
        if (difference.missing > 0) this.#example(`missing ${difference.missing}`, table, key);
        if (difference.surplus > 0) this.#example(`surplus ${difference.surplus}`, table, key);
        if (difference.misordered) this.#example("misordered", table, key);
        for (const read of history?.reads ?? []) {
          if (!isStale(all, before, read)) continue;
          counts.staleReads += 1;
          this.#example("stale read", table, key);
        }
        if (history?.openDelete === true) {
          this.#tombstones += 1;
          this.#example("delete without tombstone", table, key);
        }
      }
    }
    const tornTransactions = [...dropped.keys()].filter((xid) => kept.has(xid)).length;
    if (tornTransactions > 0) this.#examples.push(`${tornTransactions} transactions lie partly before the stream`);
    const wrong = {
      ...counts,
      tornTransactions,
      tombstones: this.#tombstones,
      movedKeys: this.#movedKeys,
    };
    return {
      changes: this.#changes,
      reads: this.#reads,
      keys,
      ...wrong,
      failures: Object.values(wrong).reduce((sum, count) => sum + count, 0),
      examples: this.#examples,
    };
  }

  #history(change: LoggedChange): KeyHistory {
    let keys = this.#tables.get(change.table);
    if (keys === undefined) this.#tables.set(change.table, (keys = new Map()));
    let history = keys.get(change.key);
    if (history === undefined) {
      keys.set(change.key, (history = { partition: change.partition, changes: [], reads: [], openDelete: false }));
    }
    return history;
  }

  #example(what: string, table: string, key: string): void {
    if (this.#examples.length < maxExamples) this.#examples.push(`${table} ${key}: ${what}`);
  }
}

/** How many of a key's first entries lie before the stream: as many as the log lacks, if all of them are early. */
function earlyBefore(expected: readonly LedgerEntry[], actual: readonly LoggedChange[]): number {
  let before = 0;
  while (expected.length - before > actual.length && expected[before]?.early === true) before += 1;
  return before;
}

function same(entry: LedgerEntry, change: LoggedChange): boolean {
  return (
    entry.op === change.op &&
    (entry.op === "delete" || entry.chg === change.chg) &&
    Number(BigInt(entry.xid) & 0xffffffffn) === change.txId
  );
}

function compareHistories(
  expected: readonly LedgerEntry[],
  actual: readonly LoggedChange[],
): { readonly missing: number; readonly surplus: number; readonly misordered: boolean } {
  if (expected.length === actual.length && expected.every((entry, index) => isSameAt(entry, actual, index))) {
    return { missing: 0, surplus: 0, misordered: false };
  }
  const left = new Map<string, number>();
  for (const entry of expected) {
    const id = `${entry.op} ${entry.op === "delete" ? "" : entry.chg} ${BigInt(entry.xid) & 0xffffffffn}`;
    left.set(id, (left.get(id) ?? 0) + 1);
  }
  let surplus = 0;
  for (const change of actual) {
    const id = `${change.op} ${change.op === "delete" ? "" : change.chg} ${change.txId}`;
    const count = left.get(id) ?? 0;
    if (count === 0) surplus += 1;
    else left.set(id, count - 1);
  }
  const missing = [...left.values()].reduce((sum, count) => sum + count, 0);
  return { missing, surplus, misordered: missing === 0 && surplus === 0 };
}

function isSameAt(entry: LedgerEntry, actual: readonly LoggedChange[], index: number): boolean {
  const change = actual[index];
  return change !== undefined && same(entry, change);
}

/**
 * A row read must not show less than the changes of its key before it in the log: its `chg` is that of the last of
 * them, or of a later one. Where no change lies before it, anything but a later-deleted state is fine.
 */
function isStale(
  all: readonly LedgerEntry[],
  before: number,
  read: { readonly before: number; readonly chg: number | null },
): boolean {
  const seen = before + read.before;
  // A `chg` that the ledger does not have is the row's first: it was there before the workload began.
  const at = all.findIndex((entry) => entry.op !== "delete" && entry.chg === read.chg);
  return read.before > 0 && at < seen - 1;
}
