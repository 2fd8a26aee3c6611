import { expect, test } from "vitest";
import { RereadQueue } from "./reread-queue.ts";

const request = Uint8Array.of(7);

test("an entry is taken once, and gone when it was answered", () => {
  const queue = new RereadQueue();
  queue.ask("1", [1]);
  queue.ask("2", [2]);
  const first = queue.take(1);
  expect(first.map((entry) => entry.cells)).toEqual([[1]]);
  expect(queue.take(9).map((entry) => entry.cells)).toEqual([[2]]);
  expect(queue.hasWaiting).toBe(false);
  expect(queue.finish(first)).toEqual([]);
  expect(queue.own()).toEqual([[2]]);
  expect(queue.follows("1")).toBe(false);
  expect(queue.follows("2")).toBe(true);
});

test("I3: a key that changes again while it is read is read again, and answers the sinks only then", () => {
  const queue = new RereadQueue();
  queue.ask("1", [1]);
  queue.askFor("1", [1], request);
  const first = queue.take(9);
  queue.ask("1", [1]);
  expect(queue.finish(first)).toEqual([]);
  expect(queue.own()).toEqual([[1]]);
  expect(queue.finish(queue.take(9))).toEqual([request]);
  expect(queue.size).toBe(0);
  expect(queue.ownSize).toBe(0);
});

test("a sink's request joins a read in flight, and is no part of the stored state", () => {
  const queue = new RereadQueue();
  queue.askFor("1", [1], request);
  expect(queue.own()).toEqual([]);
  expect(queue.follows("1")).toBe(false);
  const taken = queue.take(9);
  queue.askFor("1", [1], Uint8Array.of(8));
  expect(queue.finish(taken)).toEqual([request, Uint8Array.of(8)]);
});

test("a read that failed may be taken again; a read of the whole table stands in for capture's own entries", () => {
  const queue = new RereadQueue();
  queue.ask("1", [1]);
  queue.askFor("2", [2], request);
  queue.askFor("1", [1], request);
  queue.giveBack(queue.take(9));
  expect(queue.hasWaiting).toBe(true);
  queue.ask("3", [3]);
  queue.dropOwn();
  expect(queue.ownSize).toBe(0);
  expect(queue.take(9).map((entry) => entry.cells)).toEqual([[1], [2]]);
});
