import { join } from "node:path";
import { invariants } from "@datatrace/core";
import { expect, test } from "vitest";
import { guards } from "../guards/guards.ts";
import { invariantsPage } from "../guards/invariants-page.ts";
import { fileExists, readText } from "./source-tree.ts";

test.for(guards)(
  "guard '$name' stands once in its file, and its test's file is there",
  ({ file, find, test: named }) => {
    expect(readText(file).split(find).length - 1).toBe(1);
    expect(fileExists(named.file)).toBe(true);
  },
);

test.for(Object.keys(invariants))("%s has a guard that is proven", (name) => {
  expect(guards.filter(({ invariant }) => invariant === name).map((guard) => guard.name)).not.toEqual([]);
});

test("docs/invariants.md is what `npm run fix` makes of the guards", () => {
  const root = join(import.meta.dirname, "..", "..");
  const page = fileExists("docs/invariants.md") ? readText("docs/invariants.md") : "no docs/invariants.md";
  expect(page).toBe(invariantsPage(root, guards));
});
