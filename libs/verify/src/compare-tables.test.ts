import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { RowReader, TextRow } from "@datatrace/core";
import { compareTables } from "./compare-tables.ts";

const never = new AbortController().signal;

function table(rows: readonly TextRow[], columns = ["id", "name"], batchSize = 2): RowReader {
  return {
    columns: async () => columns,
    async *read() {
      for (let from = 0; from < rows.length; from += batchSize) yield rows.slice(from, from + batchSize);
    },
  };
}

function rowsOf(entries: ReadonlyMap<string, string>): TextRow[] {
  return [...entries]
    .map(([key, row]) => ({ key, row }))
    .toSorted((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
}

test("equal tables have no difference and both row counts", async () => {
  const rows = [1, 2, 3].map((n) => ({ key: `(${n})`, row: `(${n},a)` }));
  const result = await compareTables(table(rows), table(rows, undefined, 1), {}, never);
  expect(result).toMatchObject({ sourceRows: 3, targetRows: 3, differences: 0, keys: [] });
});

test("a missing, an extra and a changed row are each counted, and named only when asked for", async () => {
  const source = table(["a", "b", "c"].map((key) => ({ key, row: `${key}1` })));
  const target = table([
    { key: "b", row: "b1" },
    { key: "c", row: "c2" },
    { key: "d", row: "d1" },
  ]);
  const counted = await compareTables(source, target, {}, never);
  expect(counted).toMatchObject({ missing: 1, extra: 1, changed: 1, differences: 3, keys: [] });
  const named = await compareTables(source, target, { keepKeys: 2 }, never);
  expect(named.keys).toEqual([
    { key: "a", kind: "missing" },
    { key: "c", kind: "changed" },
  ]);
});

test("a column on one side only is a difference", async () => {
  const result = await compareTables(table([], ["id", "a"]), table([], ["id", "b"]), {}, never);
  expect(result).toMatchObject({ differences: 2, columnsMissing: ["a"], columnsExtra: ["b"] });
});

test("a table that is not there is compared as one without rows, and each of its columns is a difference", async () => {
  const absent: RowReader = {
    columns: async () => [],
    read: () => {
      throw new Error("there is nothing to read");
    },
  };
  const rows = [{ key: "a", row: "a" }];
  expect(await compareTables(table(rows), absent, {}, never)).toMatchObject({ missing: 1, differences: 3 });
  expect(await compareTables(absent, table(rows), {}, never)).toMatchObject({ extra: 1, differences: 3 });
});

test("a reader out of order is refused, not miscounted", async () => {
  const wrong = table([
    { key: "b", row: "b" },
    { key: "a", row: "a" },
  ]);
  await expect(compareTables(wrong, table([]), {}, never)).rejects.toThrow("strict key order");
});

test("any two tables: the counts are those of a plain comparison of maps, whatever the batches", async () => {
  const rows = fc.dictionary(fc.string({ unit: "binary", maxLength: 4 }), fc.constantFrom("x", "y"), { maxKeys: 12 });
  await fc.assert(
    fc.asyncProperty(rows, rows, fc.integer({ min: 1, max: 5 }), async (left, right, batchSize) => {
      const a = new Map(Object.entries(left));
      const b = new Map(Object.entries(right));
      const result = await compareTables(table(rowsOf(a)), table(rowsOf(b), undefined, batchSize), {}, never);
      expect(result).toMatchObject({
        missing: [...a.keys()].filter((key) => !b.has(key)).length,
        extra: [...b.keys()].filter((key) => !a.has(key)).length,
        changed: [...a].filter(([key, row]) => b.has(key) && b.get(key) !== row).length,
      });
    }),
  );
});
