import { expect, test } from "vitest";
import type { LedgerEntry } from "./ledger.ts";
import { LogAudit } from "./log-audit.ts";
import type { LoggedChange } from "./log-audit.ts";

const key = '["1"]';

function entry(seq: number, op: LedgerEntry["op"], chg: number, early = false, xid = String(seq)): LedgerEntry {
  return { seq, xid, early, op, chg };
}

function change(op: LoggedChange["op"], chg: number | null, txId: number | null, partition = 0): LoggedChange {
  return { table: "t", partition, offset: 0n, key, op, chg, txId };
}

function audit(entries: readonly LedgerEntry[], changes: readonly LoggedChange[]) {
  const log = new LogAudit();
  for (const item of changes) log.add(item);
  return log.result(new Map([["t", new Map([[key, entries]])]]));
}

const history = [entry(1, "insert", 10), entry(2, "update", 11), entry(3, "delete", 11)];
const logged = [
  change("insert", 10, 1),
  change("update", 11, 2),
  change("delete", null, 3),
  change("tombstone", null, null),
];

test("I3: a log that is the ledger passes", () => {
  expect(audit(history, logged)).toMatchObject({ failures: 0, changes: 3, keys: 1 });
});

test("I3: a lost change is missing", () => {
  expect(audit(history, logged.toSpliced(1, 1))).toMatchObject({ missing: 1, failures: 1 });
  expect(audit(history, [])).toMatchObject({ missing: 3, failures: 3 });
});

test("I3: a change that is there twice is surplus, a delete too", () => {
  expect(audit(history, logged.toSpliced(1, 0, change("update", 11, 2)))).toMatchObject({ surplus: 1, failures: 1 });
  expect(audit(history, [...logged, change("delete", null, 3), change("tombstone", null, null)])).toMatchObject({
    surplus: 1,
    failures: 1,
  });
});

test("I3: a rolled back change, which the ledger does not have, is surplus", () => {
  expect(audit([], [change("insert", 10, 1)])).toMatchObject({ surplus: 1 });
});

test("I4: two changes of a key in the wrong order are found", () => {
  const swapped = [entry(1, "insert", 10), entry(2, "update", 11), entry(3, "update", 12)];
  const changes = [change("insert", 10, 1), change("update", 12, 3), change("update", 11, 2)];
  expect(audit(swapped, changes)).toMatchObject({ misordered: 1, failures: 1 });
});

test("I4: a key in two partitions is found", () => {
  expect(
    audit(history, [...logged.slice(0, 2), ...logged.slice(2).map((c) => ({ ...c, partition: 1 }))]).movedKeys,
  ).toBe(2);
});

test("a change of another transaction does not stand for the one that was lost", () => {
  expect(audit([entry(1, "update", 10)], [change("update", 10, 7)])).toMatchObject({ missing: 1, surplus: 1 });
});

test("a transaction begun before the stream may lie before it, but only as a whole", () => {
  const early = [entry(1, "insert", 10, true), entry(2, "update", 11)];
  expect(audit(early, [change("update", 11, 2)]).failures).toBe(0);
  expect(audit([entry(1, "insert", 10), entry(2, "update", 11)], [change("update", 11, 2)])).toMatchObject({
    missing: 1,
  });
  const torn = [entry(1, "insert", 10, true, "5"), entry(2, "update", 11, true, "5")];
  expect(audit(torn, [change("update", 11, 5)])).toMatchObject({ tornTransactions: 1 });
});

test("a row read after a change of its key must show that change or a later one", () => {
  expect(audit(history.slice(0, 2), [...logged.slice(0, 2), change("read", 11, null)]).staleReads).toBe(0);
  expect(audit(history.slice(0, 2), [...logged.slice(0, 2), change("read", 10, null)]).staleReads).toBe(1);
  expect(audit(history, [...logged, change("read", 11, null)]).staleReads).toBe(1);
  // Read before any change of the key: the row as it was at the start.
  expect(audit(history.slice(0, 2), [change("read", 3, null), ...logged.slice(0, 2)]).staleReads).toBe(0);
});

test("a delete has its tombstone right behind it", () => {
  expect(audit(history, logged.slice(0, 3)).tombstones).toBe(1);
  expect(audit(history, logged.toSpliced(2, 0, change("tombstone", null, null))).tombstones).toBe(1);
});
