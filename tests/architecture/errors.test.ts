import { errorTable } from "@datatrace/core";
import { expect, test } from "vitest";
import { errorsPage } from "../verbs/errors-page.ts";
import { fileExists, readText, withoutComments, workspaces } from "./source-tree.ts";

const code = workspaces()
  .filter(({ folder }) => folder !== "libs/testkit")
  .flatMap(({ production }) => production)
  .filter(({ path }) => path !== "libs/core/src/errors.ts")
  .map(({ text }) => withoutComments(text))
  .join("\n");
const named = new Set([...code.matchAll(/"([a-z]+\.[a-z_]+)"/g)].map(([, name = ""]) => name));

test.for(Object.keys(errorTable))("%s can happen: production code names it", (name) => {
  expect(named.has(name)).toBe(true);
});

test("the table is sorted by code", () => {
  expect(Object.keys(errorTable)).toEqual(Object.keys(errorTable).toSorted());
});

test("docs/errors.md is what `npm run fix` makes of the table", () => {
  expect(fileExists("docs/errors.md") ? readText("docs/errors.md") : "no docs/errors.md").toBe(errorsPage());
});
