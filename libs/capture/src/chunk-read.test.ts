import { DataTraceError } from "@datatrace/core";
import { expect, test } from "vitest";
import type { CapturedTable } from "./captured-table.ts";
import { ChunkRead } from "./chunk-read.ts";
import { maxWindowKeys } from "./chunk-window.ts";
import { bareTable, bareVersion } from "./model/bare-table.ts";
import { DeliveredTransactions } from "./unseen-transactions.ts";

const version = bareVersion();

function keysOf(table: CapturedTable): ChunkRead {
  const read = new ChunkRead({ kind: "keys", table, entries: [] }, new DeliveredTransactions([7n]));
  read.delivered.readWith({ sees: () => true });
  read.open();
  return read;
}

test("a read that sees all that was delivered before it may be published", () => {
  expect(keysOf(bareTable(version)).judge(version)).toBeNull();
});

test("I3: a read that does not see what was delivered before its low watermark is refused", () => {
  const read = new ChunkRead(
    { kind: "keys", table: bareTable(version), entries: [] },
    new DeliveredTransactions([7n, 8n]),
  );
  read.delivered.readWith({ sees: (txId) => txId === 8n });
  read.open();
  expect(read.judge(version)).toEqual({ kind: "unseen", txIds: [7n] });
});

test("I3: a change of the table's shape around the read discards it", () => {
  const [older, newer] = [bareVersion(), bareVersion()];
  const behind = keysOf(bareTable(older, newer));
  expect(behind.judge(older)).toEqual({ kind: "discarded" });
  expect(behind.judge(newer)).toBeNull();
  const crossed = keysOf(bareTable(older, newer));
  crossed.window.note(older);
  expect(crossed.judge(newer)).toEqual({ kind: "discarded" });
});

test("a window with too many keys discards its read", () => {
  const read = keysOf(bareTable(version));
  for (let key = 0; key <= maxWindowKeys; key += 1) read.window.full(String(key));
  expect(read.judge(version)).toEqual({ kind: "discarded" });
});

test("a read of a table that has stopped is dropped", () => {
  const table = bareTable(version);
  const read = keysOf(table);
  table.park(new DataTraceError("source.truncate_unsupported"));
  expect(read.judge(version)).toEqual({ kind: "dropped" });
});

test("a read that was given up before its low watermark came back opens no window", () => {
  const table = bareTable(version);
  const read = new ChunkRead({ kind: "keys", table, entries: [] }, new DeliveredTransactions([]));
  read.close();
  read.open();
  expect(table.windows.size).toBe(0);
});
