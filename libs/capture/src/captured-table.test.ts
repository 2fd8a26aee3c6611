import { expect, test } from "vitest";
import { type CapturedTable, maxOwnRereads } from "./captured-table.ts";
import { bareTable } from "./model/bare-table.ts";
import { TableScan, wholeTable } from "./table-scan.ts";

function table(...scans: readonly TableScan[]): CapturedTable {
  const made = bareTable();
  if (scans.length > 0) made.phase = "snapshotting";
  made.scans = scans;
  return made;
}

/** As after a restart in the middle. */
function begun(): TableScan {
  return new TableScan({ column: null, progress: { upTo: [5], ahead: [] } });
}

test("I3: very many keys to read again become one reading of the whole table", () => {
  const many = table();
  for (let key = 0; key <= maxOwnRereads; key += 1) many.reread(String(key), [key]);
  expect(many.rereads.size).toBe(0);
  expect(many.scans.map((scan) => scan.column)).toEqual([null]);
  expect(many.phase).toBe("snapshotting");
  // The reading has not begun: it covers this key too.
  many.reread("x", [-1]);
  expect(many.rereads.size).toBe(0);
});

test("I3: a reading of the whole table that has begun does not cover what changes now", () => {
  const busy = table(begun());
  busy.reread("1", [1]);
  busy.readColumn("extra");
  expect(busy.rereads.size).toBe(1);
  expect(busy.scans.map((scan) => scan.column)).toEqual([null, "extra"]);
  busy.readWhole();
  expect(busy.scans.map((scan) => scan.column)).toEqual([null, "extra", null]);
});

test("a reading that has not begun covers new columns and keys", () => {
  const fresh = table(new TableScan(wholeTable));
  fresh.readColumn("extra");
  fresh.readWhole();
  fresh.reread("1", [1]);
  expect(fresh.scans).toHaveLength(1);
  expect(fresh.rereads.size).toBe(0);
});
