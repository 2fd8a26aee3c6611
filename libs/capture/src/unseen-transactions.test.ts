import type { SnapshotView } from "@datatrace/core";
import { expect, test } from "vitest";
import { UnseenTransactions } from "./unseen-transactions.ts";

const never = new AbortController().signal;
const viewOf = (...ids: readonly bigint[]): SnapshotView => ({ sees: (id) => ids.includes(id) });

test("I3: a delivered transaction is kept until a view sees it, and stays gone then", () => {
  const unseen = new UnseenTransactions([1n]);
  unseen.deliver(2n);
  unseen.prune(viewOf(2n));
  expect(unseen.current()).toEqual([1n]);
  unseen.deliver(2n);
  expect(unseen.current()).toEqual([1n]);
  unseen.prune(viewOf(1n, 2n));
  expect(unseen.size).toBe(0);
});

test("I3: what became visible after a chunk was read is still missing in the chunk", () => {
  const unseen = new UnseenTransactions([1n]);
  const delivered = unseen.follow();
  delivered.readWith(viewOf());
  // Later both are visible, and the stream delivers the second only then.
  unseen.prune(viewOf(1n, 2n));
  unseen.deliver(2n);
  expect(unseen.size).toBe(0);
  expect(delivered.unseen()).toEqual([1n, 2n]);
  unseen.unfollow(delivered);
  unseen.deliver(3n);
  expect(delivered.unseen()).toEqual([1n, 2n]);
  delivered.readWith(viewOf(1n, 2n));
  expect(delivered.unseen()).toEqual([]);
});

test("a chunk that was read already remembers only what it cannot see", () => {
  const unseen = new UnseenTransactions();
  const delivered = unseen.follow();
  delivered.readWith(viewOf(1n));
  unseen.deliver(1n);
  unseen.deliver(2n);
  expect(delivered.unseen()).toEqual([2n]);
});

test("a wait ends with the view that sees the last of its transactions", async () => {
  const unseen = new UnseenTransactions([1n, 2n]);
  let seen = false;
  const waiting = unseen.seen([1n, 2n], never).then(() => (seen = true));
  unseen.prune(viewOf(1n));
  await Promise.resolve();
  expect(seen).toBe(false);
  expect(unseen.awaited).toBe(true);
  unseen.prune(viewOf(2n));
  await waiting;
  expect(seen).toBe(true);
  expect(unseen.awaited).toBe(false);
});

test("a wait ends with its signal", async () => {
  const unseen = new UnseenTransactions([1n]);
  const abort = new AbortController();
  const waiting = unseen.seen([1n], abort.signal);
  abort.abort(new Error("stopped"));
  await expect(waiting).rejects.toThrow("stopped");
  expect(unseen.awaited).toBe(false);
});
