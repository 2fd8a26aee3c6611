import type { TableName } from "@datatrace/core";
import { splitTableName, TablePattern } from "@datatrace/runtime";
import type { Pipeline, Task } from "@datatrace/runtime";
import { describe, expect, test } from "vitest";
import { partitionsOf, tableFindings, targetFor, wanted } from "./task-tables.ts";

function task(id: string, objects: readonly (readonly [string, string?])[], more: Partial<Task> = {}): Task {
  return {
    id,
    from: "shop",
    to: ["warehouse"],
    mode: "snapshot+stream",
    objects: objects.map(([table, to], index) => ({
      pattern: new TablePattern(table),
      to: to === undefined ? null : splitTableName(to),
      line: 10 + index,
    })),
    sync: { batchRows: 1000, threads: 4, errorStrategy: "quarantine", partitions: 3, tableExistsStrategy: "fail" },
    line: 5,
    ...more,
  };
}

function pipeline(...tasks: readonly Task[]): Pipeline {
  return {
    file: "/p.yaml",
    name: "p",
    log: { kind: "embedded", directory: "/data", maxSizeBytes: null },
    sources: new Map(),
    targets: new Map(),
    tasks,
  };
}

const names = (...tables: readonly string[]): readonly TableName[] => tables.map((table) => splitTableName(table));
const shop = (...tables: readonly string[]) => new Map([["shop", names(...tables)]]);

describe("which table goes where", () => {
  const one = task("one", [["public.order_*"], ["public.order_items", "crm.items"], ["audit.*"]]);

  test("an exact name comes before a glob", () => {
    expect(targetFor(one, splitTableName("public.order_items"))).toEqual({ schema: "crm", table: "items" });
    expect(targetFor(one, splitTableName("public.order_heads"))).toEqual({ schema: "public", table: "order_heads" });
    expect(targetFor(one, splitTableName("public.orders"))).toBeNull();
    expect(targetFor(one, splitTableName("audit.a.b"))).toEqual({ schema: "audit", table: "a.b" });
  });

  test("a source's capture wants what any of its tasks wants", () => {
    const both = pipeline(one, task("two", [["public.a"]], { sync: { ...one.sync, partitions: 7 } }));
    expect(wanted(both, "shop", splitTableName("public.a"))).toBe(true);
    expect(wanted(both, "shop", splitTableName("public.b"))).toBe(false);
    expect(wanted(both, "other", splitTableName("public.a"))).toBe(false);
    expect(partitionsOf(both, "shop", splitTableName("public.a"))).toBe(7);
    expect(partitionsOf(both, "shop", splitTableName("public.order_x"))).toBe(3);
  });
});

describe("findings", () => {
  test("none when all is well", () => {
    expect(tableFindings(pipeline(task("one", [["public.a"], ["public.b*"]])), shop("public.a", "public.bb"))).toEqual(
      [],
    );
  });

  test("an unknown table with a suggestion, a glob without a match", () => {
    const found = tableFindings(
      pipeline(task("one", [["public.costumers"], ["sales.*"]])),
      shop("public.customers", "public.orders"),
    );
    expect(found).toMatchObject([
      {
        severity: "error",
        code: "source.table_missing",
        line: 10,
        message: "The source `shop` has no table `public.costumers`; did you mean `public.customers`?",
      },
      { severity: "warning", code: "task.table_unmatched", line: 11 },
    ]);
  });

  test("two tables written to one", () => {
    const found = tableFindings(
      pipeline(task("one", [["public.*"]]), task("two", [["public.a*"]])),
      shop("public.ab", "public.b"),
    );
    expect(found).toMatchObject([{ code: "task.table_conflict", table: "public.ab", line: 10 }]);
  });

  test("one table with two partition counts", () => {
    const other = task("two", [["public.a*"]], {
      to: ["lake"],
      sync: { ...task("x", []).sync, partitions: 9 },
    });
    expect(tableFindings(pipeline(task("one", [["public.*"]]), other), shop("public.ab"))).toMatchObject([
      { code: "task.table_conflict", message: expect.stringContaining("3 and 9 partitions") },
    ]);
  });

  test("two tables in one topic", () => {
    const found = tableFindings(pipeline(task("one", [["public.*"]])), shop("public.a b", "public.a_b"));
    expect(found).toMatchObject([{ code: "task.topic_conflict", table: "public.a_b" }]);
  });
});
