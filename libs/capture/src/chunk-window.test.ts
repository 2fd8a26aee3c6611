import { type Row, UNCHANGED } from "@datatrace/core";
import { expect, test } from "vitest";
import { ChunkWindow, maxWindowKeys } from "./chunk-window.ts";
import { bareVersion } from "./model/bare-table.ts";

const chunkRow: Row = [1, 10, 20];

test("I4: a change in the window wins over the chunk's row", () => {
  const window = new ChunkWindow();
  expect(window.resolve("1", chunkRow)).toBe(chunkRow);
  window.full("1");
  window.deleted("2");
  window.incomplete("3");
  for (const key of ["1", "2", "3"]) expect(window.resolve(key, chunkRow)).toBeNull();
});

test("I3: columns that no change of the window carried come from the chunk's row", () => {
  const window = new ChunkWindow();
  window.partial("1", [1, 11, UNCHANGED]);
  expect(window.resolve("1", chunkRow)).toEqual([1, 11, 20]);
  window.partial("1", [1, 12, UNCHANGED]);
  window.partial("1", [1, UNCHANGED, 21]);
  // Both columns are known, but no event had both: the row is still owed.
  expect(window.resolve("1", chunkRow)).toEqual([1, 12, 21]);
});

test("a partial update after a full event, or of a row whose columns are not known, needs nothing from the chunk", () => {
  const window = new ChunkWindow();
  window.full("1");
  window.partial("1", [1, 11, UNCHANGED]);
  window.incomplete("2");
  window.partial("2", [2, 11, UNCHANGED]);
  window.partial("3", [3, 11, UNCHANGED]);
  window.deleted("3");
  window.partial("3", [3, 12, UNCHANGED]);
  for (const key of ["1", "2", "3"]) expect(window.resolve(key, chunkRow)).toBeNull();
});

test("a window with changes of another version of the table does not fit the chunk", () => {
  const [one, two] = [bareVersion(), bareVersion()];
  const window = new ChunkWindow();
  expect(window.fits(one)).toBe(true);
  window.note(one);
  expect(window.fits(one)).toBe(true);
  expect(window.fits(two)).toBe(false);
  window.note(two);
  expect(window.fits(one)).toBe(false);
  expect(window.fits(two)).toBe(false);
});

test("a window with very many keys is given up rather than held", () => {
  const window = new ChunkWindow();
  for (let key = 0; key < maxWindowKeys; key += 1) window.full(String(key));
  expect(window.overflowed).toBe(false);
  window.full("one more");
  expect(window.overflowed).toBe(true);
});
