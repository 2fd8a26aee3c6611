import type { Column, TableSchema } from "@datatrace/core";
import { expect, test } from "vitest";
import { matchVersion } from "./schema-versions.ts";

function table(...names: readonly string[]): TableSchema {
  return {
    name: { schema: "public", table: "t" },
    columns: names.map((name) => column(name)),
    key: [0],
  };
}

function column(name: string, nullable = name !== "id"): Column {
  return { name, type: { kind: "int32" }, native: { name: "int4" }, nullable };
}

function mood(...values: readonly string[]): TableSchema {
  return { ...v1, columns: [column("id"), { ...column("a"), type: { kind: "enum", values } }] };
}

function numbered(number: number): TableSchema {
  return { ...v1, columns: [column("id"), { ...column("a"), number }] };
}

const v1 = table("id", "a");
const v2 = table("id", "a", "b");
const v3 = table("id", "a", "b", "c");

test("a shape that is known is found, whatever the stream says of nullability", () => {
  expect(matchVersion([v1, v2], v2, "stream")).toEqual({ kind: "known", index: 1, nullable: [] });
  const required = { ...v1, columns: [column("id"), column("a", false)] };
  expect(matchVersion([required], v1, "stream")).toEqual({ kind: "known", index: 0, nullable: [] });
});

test("a column that may now be null is seen in the catalog, and never goes back", () => {
  const required = { ...v1, columns: [column("id"), column("a", false)] };
  expect(matchVersion([required], v1, "catalog")).toEqual({ kind: "known", index: 0, nullable: [1] });
  expect(matchVersion([v1], required, "catalog")).toEqual({ kind: "known", index: 0, nullable: [] });
});

test("I6: an added column is nullable in what is published, even where the source requires it", () => {
  const incoming = { ...v2, columns: [...v1.columns, column("b", false)] };
  const match = matchVersion([v1], incoming, "catalog");
  expect(match).toMatchObject({ kind: "new", index: 1, columns: ["b"], between: false });
  expect(match.kind === "new" && match.schema.columns.map((each) => each.nullable)).toEqual([false, true, true]);
});

test("the stream may be behind the catalog, by a version that nobody has seen", () => {
  expect(matchVersion([v1, v3], v2, "stream")).toMatchObject({
    kind: "new",
    index: 1,
    columns: ["b"],
    between: true,
  });
  expect(matchVersion([v1, v3], v1, "stream")).toEqual({ kind: "known", index: 0, nullable: [] });
});

test("the catalog is never behind: a column that is gone is a change that is not carried", () => {
  expect(matchVersion([v1, v2], v1, "catalog")).toEqual({ kind: "incompatible" });
  expect(matchVersion([v2], v1, "stream")).toEqual({ kind: "incompatible" });
});

test("another type, name, order or key is not carried", () => {
  const retyped = { ...v1, columns: [column("id"), { ...column("a"), type: { kind: "int64" as const } }] };
  const longer = { ...v1, columns: [column("id"), { ...column("a"), native: { name: "int4", length: 9 } }] };
  for (const incoming of [
    retyped,
    longer,
    table("id", "z"),
    table("a", "id"),
    { ...v1, key: [1] },
    { ...v2, key: [1] },
    table("id", "z", "b"),
  ]) {
    for (const witness of ["stream", "catalog"] as const) {
      expect(matchVersion([v1], incoming, witness)).toEqual({ kind: "incompatible" });
    }
  }
});

test("new labels of an enum are another version, without a new column; lost ones are not carried", () => {
  expect(matchVersion([mood("x")], mood("x", "y"), "catalog")).toMatchObject({ kind: "new", index: 1, columns: [] });
  expect(matchVersion([mood("x", "y")], mood("x"), "catalog")).toEqual({ kind: "incompatible" });
  expect(matchVersion([mood("x"), mood("x", "y")], mood("x"), "stream")).toMatchObject({ kind: "known", index: 0 });
});

test("a column dropped and made again under the same name is not the same column", () => {
  expect(matchVersion([numbered(2)], numbered(3), "catalog")).toEqual({ kind: "incompatible" });
  expect(matchVersion([numbered(2)], numbered(2), "catalog")).toMatchObject({ kind: "known" });
  expect(matchVersion([numbered(2)], v1, "stream")).toMatchObject({ kind: "known" });
});
