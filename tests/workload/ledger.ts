import type { Client } from "pg";

/** A committed change of one key, in the order in which the key's changes took effect. */
export interface LedgerEntry {
  readonly seq: number;
  /** Full 64-bit transaction id, as text. */
  readonly xid: string;
  /** Begun before the capture's stream was known to exist: may lie before it, but then with its whole transaction. */
  readonly early: boolean;
  readonly op: "insert" | "update" | "delete";
  /** Number of the change, unique over all rows; for a delete that of the row removed. */
  readonly chg: number;
}

/** Per table, per key (`keyText`), the committed changes in order. */
export type Ledger = ReadonlyMap<string, ReadonlyMap<string, readonly LedgerEntry[]>>;

export interface LedgerTotals {
  readonly entries: number;
  readonly transactions: number;
}

interface LedgerRow {
  readonly seq: string;
  readonly xid: string;
  readonly early: boolean;
  readonly tbl: string;
  readonly op: string;
  readonly key: readonly string[];
  readonly new_key: readonly string[] | null;
  readonly chg: string;
}

const pageRows = 20_000;

/** One text per key, the same for the ledger and for a decoded Avro key. */
export function keyText(cells: readonly unknown[]): string {
  return JSON.stringify(cells.map(String));
}

/** Reads the ledger in `schema` whole. A key change is a delete of the old key and an insert of the new one. */
export async function readLedger(client: Client, schema: string): Promise<{ ledger: Ledger; totals: LedgerTotals }> {
  const ledger = new Map<string, Map<string, LedgerEntry[]>>();
  const transactions = new Set<string>();
  let entries = 0;
  function add(table: string, key: readonly string[], entry: LedgerEntry): void {
    let keys = ledger.get(table);
    if (keys === undefined) ledger.set(table, (keys = new Map()));
    const text = keyText(key);
    const history = keys.get(text);
    if (history === undefined) keys.set(text, [entry]);
    else history.push(entry);
    entries += 1;
  }

  let after = "0";
  for (;;) {
    const page = await client.query<LedgerRow>(
      `SELECT seq, xid::text, early, tbl, op, key, new_key, chg FROM ${schema}.ledger WHERE seq > $1 ORDER BY seq LIMIT ${pageRows}`,
      [after],
    );
    for (const row of page.rows) {
      transactions.add(row.xid);
      const common = { seq: Number(row.seq), xid: row.xid, early: row.early, chg: Number(row.chg) };
      if (row.op === "k" && row.new_key !== null) {
        add(row.tbl, row.key, { ...common, op: "delete" });
        add(row.tbl, row.new_key, { ...common, op: "insert" });
      } else {
        add(row.tbl, row.key, { ...common, op: row.op === "i" ? "insert" : row.op === "u" ? "update" : "delete" });
      }
      after = row.seq;
    }
    if (page.rows.length < pageRows) break;
  }
  return { ledger, totals: { entries, transactions: transactions.size } };
}
