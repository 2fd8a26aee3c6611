import { type Row, SourceText } from "@datatrace/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { cellsFromJson, cellsText, cellsToJson } from "./key-cells.ts";

const cell = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.integer(),
  fc.double(),
  fc.bigInt(),
  fc.string(),
  fc.uint8Array({ maxLength: 20 }),
  fc.string().map((text) => new SourceText(text)),
);
const cells = fc.array(fc.oneof(cell, fc.array(cell, { maxLength: 3 })), { maxLength: 4 });

test("key cells survive the stored JSON exactly", () => {
  fc.assert(
    fc.property(cells, (row) => {
      const stored = JSON.stringify(cellsToJson(row));
      expect(cellsFromJson(JSON.parse(stored))).toEqual(row);
    }),
  );
});

test("two different keys have different texts", () => {
  const keys: readonly (Row | null)[] = [
    null,
    [],
    [null],
    ["null"],
    [0],
    [-0],
    ["0"],
    [0n],
    [Uint8Array.of(48)],
    [[0]],
  ];
  expect(new Set(keys.map(cellsText)).size).toBe(keys.length);
});
