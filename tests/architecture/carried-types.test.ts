import { expect, test } from "vitest";
import { typesPage } from "../verbs/types-page.ts";
import { fileExists, readText } from "./source-tree.ts";

test("docs/types.md is what `npm run fix` makes of the table of types", () => {
  expect(fileExists("docs/types.md") ? readText("docs/types.md") : "no docs/types.md").toBe(typesPage());
});
