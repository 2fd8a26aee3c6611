import { SourceText, type TableSchema, type Value } from "@datatrace/core";
import { expect, test } from "vitest";
import { keyJson, keyText } from "./key-text.ts";

function keyed(...names: readonly string[]): TableSchema {
  return {
    name: { schema: "public", table: "orders" },
    key: names.map((_, index) => index).toReversed(),
    columns: names.map((name) => ({ name, type: { kind: "int32" }, native: { name: "int4" }, nullable: false })),
  };
}

test("a key as JSON, in key order", () => {
  expect(keyJson(keyed("region", "id"), ["eu", 42])).toBe('{"id":42,"region":"eu"}');
});

test("a key for a person", () => {
  expect(keyText(keyed("region", "id"), ["eu", 9_007_199_254_740_993n])).toBe("id=9007199254740993, region=eu");
});

test.each<[Value, string]>([
  [9_007_199_254_740_993n, "9007199254740993"],
  ["1.50", '"1.50"'],
  [new Uint8Array([1, 2, 255]), '"AQL/"'],
  [Number.NaN, '"NaN"'],
  [true, "true"],
  ['a"b', '"a\\"b"'],
  [[1n, null, "x"], '[1,null,"x"]'],
  [new SourceText("infinity"), '"infinity"'],
])("%s is %s", (value, json) => {
  expect(keyJson(keyed('i"d'), [value])).toBe(`{"i\\"d":${json}}`);
});
