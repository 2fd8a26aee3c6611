import {
  type Column,
  type SourceEvent,
  type SnapshotView,
  type TableName,
  type TableSchema,
  tableId,
  UNCHANGED,
  type Value,
} from "@datatrace/core";

/** A row as stored: the cells by column number, so that an added column does not move the others. */
export type ModelRow = readonly (number | string | null)[];

interface RowVersion {
  readonly tx: ModelTransaction;
  /** Null: deleted. */
  readonly row: ModelRow | null;
}

/** A change as a transaction makes it. `after` and `before` are of the table's columns at that time. */
export type ModelChange =
  | { readonly kind: "insert"; readonly table: ModelTable; readonly columns: number; readonly after: readonly Value[] }
  | {
      readonly kind: "update";
      readonly table: ModelTable;
      readonly columns: number;
      readonly oldKey: number | null;
      readonly after: readonly Value[];
    }
  | { readonly kind: "delete"; readonly table: ModelTable; readonly columns: number; readonly key: number };

/** What lies in the log of the database, in commit order. */
export type WalEntry =
  | { readonly kind: "transaction"; readonly tx: ModelTransaction; readonly changes: readonly ModelChange[] }
  | { readonly kind: "watermark"; readonly tx: ModelTransaction; readonly id: string }
  | { readonly kind: "publication"; readonly tables: ReadonlySet<string> }
  /** A truncate, or a change of a table that the source cannot follow. */
  | { readonly kind: "lost"; readonly event: Extract<SourceEvent, { readonly kind: "truncate" | "table-lost" }> };

/** `committed`: its commit record is in the log, and nobody else sees it yet. */
export type TransactionState = "open" | "committed" | "visible" | "aborted";

export interface ModelTransaction {
  readonly id: bigint;
  state: TransactionState;
  readonly changes: ModelChange[];
  readonly written: { readonly table: ModelTable; readonly key: number }[];
}

/** Columns: id (the key), chg (number of the change), small, large (left out of updates that do not touch it), extras. */
export class ModelTable {
  readonly name: TableName;
  readonly rows = new Map<number, RowVersion[]>();
  /** Added columns, by what existing rows get. */
  readonly defaults: (number | null)[] = [];

  constructor(name: string) {
    this.name = { schema: "public", table: name };
  }

  get id(): string {
    return tableId(this.name);
  }

  get columns(): number {
    return baseColumns.length + this.defaults.length;
  }

  /** A new object each time, as a catalog gives it. */
  schema(columns: number): TableSchema {
    const added = Array.from({ length: columns - baseColumns.length }, (_, n) => column(`extra${n}`, false));
    return {
      name: { ...this.name },
      columns: [...baseColumns.map((name) => column(name, name !== "id")), ...added],
      key: [0],
    };
  }
}

export const baseColumns = ["id", "chg", "small", "large"] as const;
export const chgAt = 1;
const idAt = 0;
const largeAt = 3;

function column(name: string, nullable: boolean): Column {
  return name === "large"
    ? { name, type: { kind: "string" }, native: { name: "text" }, nullable }
    : { name, type: { kind: "int32" }, native: { name: "int4" }, nullable };
}

/**
 * A database whose commits become visible later than its log has them, in any order, as PostgreSQL's do under
 * synchronous replication. A row that an unfinished transaction has written is locked, until that one is visible.
 */
export class ModelDatabase {
  readonly tables: ModelTable[] = [];
  readonly wal: WalEntry[] = [];
  /** Every row that ever was, by the number of the change that made it. */
  readonly history = new Map<number, ModelRow>();
  #transactions: ModelTransaction[] = [];
  #lastId = 100n;
  #changeNumber = 0;

  get unfinished(): readonly ModelTransaction[] {
    return this.#transactions;
  }

  begin(): ModelTransaction {
    const tx: ModelTransaction = { id: (this.#lastId += 1n), state: "open", changes: [], written: [] };
    this.#transactions.push(tx);
    return tx;
  }

  commit(tx: ModelTransaction): void {
    tx.state = "committed";
    this.wal.push({ kind: "transaction", tx, changes: tx.changes });
  }

  makeVisible(tx: ModelTransaction): void {
    tx.state = "visible";
    this.#transactions = this.#transactions.filter((each) => each !== tx);
  }

  rollBack(tx: ModelTransaction): void {
    tx.state = "aborted";
    this.#transactions = this.#transactions.filter((each) => each !== tx);
    for (const { table, key } of tx.written) {
      const versions = table.rows.get(key) ?? [];
      table.rows.set(
        key,
        versions.filter((version) => version.tx !== tx),
      );
    }
  }

  /** Commits it and lets everyone see it at once. */
  watermark(id: string): void {
    const tx = this.begin();
    tx.state = "committed";
    this.wal.push({ kind: "watermark", tx, id });
    this.makeVisible(tx);
  }

  /** Null: another unfinished transaction has written the row. */
  read(tx: ModelTransaction, table: ModelTable, key: number): ModelRow | null | "locked" {
    const last = table.rows.get(key)?.at(-1);
    if (last === undefined) return null;
    if (last.tx !== tx && last.tx.state !== "visible") return "locked";
    return last.row;
  }

  /** The newest row of a table's keys as everybody sees it. */
  visibleRows(table: ModelTable, view: SnapshotView): Map<number, ModelRow> {
    const rows = new Map<number, ModelRow>();
    for (const [key, versions] of table.rows) {
      const seen = versions.findLast((version) => view.sees(version.tx.id));
      if (seen !== undefined && seen.row !== null) rows.set(key, seen.row);
    }
    return rows;
  }

  view(): SnapshotView {
    const limit = this.#lastId;
    const unfinished = new Set(this.#transactions.map((tx) => tx.id));
    return { sees: (id) => id <= limit && !unfinished.has(id) };
  }

  /** Inserts or updates; `large` null: an update keeps what is there. */
  put(tx: ModelTransaction, table: ModelTable, key: number, small: number, large: string | null): void {
    const before = this.read(tx, table, key);
    if (before === "locked") return;
    const extras = table.defaults.map((_, n) =>
      before === null ? small + n : (before[baseColumns.length + n] ?? null),
    );
    const row: ModelRow = [key, (this.#changeNumber += 1), small, large ?? before?.[largeAt] ?? null, ...extras];
    this.#write(tx, table, key, row);
    const columns = table.columns;
    // A large value that is kept as it is lies out of line, and is left out of the update. A null is never left out.
    const leftOut = before !== null && large === null && row[largeAt] !== null;
    if (before === null) tx.changes.push({ kind: "insert", table, columns, after: row });
    else tx.changes.push({ kind: "update", table, columns, oldKey: null, after: leftOut ? unchanged(row) : row });
  }

  remove(tx: ModelTransaction, table: ModelTable, key: number): void {
    const before = this.read(tx, table, key);
    if (before === "locked" || before === null) return;
    this.#write(tx, table, key, null);
    tx.changes.push({ kind: "delete", table, columns: table.columns, key });
  }

  /** A change of the key; the large column is left out of it when the row has one. */
  move(tx: ModelTransaction, table: ModelTable, from: number, to: number): void {
    const before = this.read(tx, table, from);
    if (before === "locked" || before === null || this.read(tx, table, to) !== null) return;
    const row = before.with(idAt, to).with(chgAt, (this.#changeNumber += 1));
    this.#write(tx, table, from, null);
    this.#write(tx, table, to, row);
    const after = before[largeAt] === null ? row : unchanged(row);
    tx.changes.push({ kind: "update", table, columns: table.columns, oldKey: from, after });
  }

  /** False: somebody works on the table. Otherwise every row has the new column at once, and no event tells. */
  addColumn(table: ModelTable, value: number | null): boolean {
    if (this.#transactions.some((tx) => tx.written.some((written) => written.table === table))) return false;
    table.defaults.push(value);
    for (const [key, versions] of table.rows) {
      const last = versions.at(-1);
      if (last !== undefined) {
        table.rows.set(key, [{ tx: last.tx, row: last.row === null ? null : [...last.row, value] }]);
      }
    }
    return true;
  }

  /** What a table holds once everything is visible. */
  content(table: ModelTable): Map<number, ModelRow> {
    return this.visibleRows(table, { sees: () => true });
  }

  #write(tx: ModelTransaction, table: ModelTable, key: number, row: ModelRow | null): void {
    const versions = table.rows.get(key) ?? [];
    table.rows.set(key, [...versions.filter((version) => version.tx !== tx), { tx, row }]);
    tx.written.push({ table, key });
    if (row !== null) this.history.set(Number(row[chgAt]), row);
  }
}

function unchanged(row: ModelRow): readonly Value[] {
  return row.map((cell, index) => (index === largeAt ? UNCHANGED : cell));
}
