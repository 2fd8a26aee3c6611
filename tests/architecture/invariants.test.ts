import { invariants } from "@datatrace/core";
import { expect, test } from "vitest";
import { isTest, sourcesBelow, workspaces } from "./source-tree.ts";

const names = Object.keys(invariants);
const all = workspaces();
const production = all
  .filter(({ folder }) => folder !== "libs/testkit")
  .flatMap((workspace) => workspace.production)
  .filter(({ path }) => path !== "libs/core/src/invariants.ts");
const attacks = [
  ...all.flatMap(({ files }) => files).filter((file) => isTest(file) || /\/describe-[\w-]+\.ts$/.test(file.path)),
  ...sourcesBelow("tests"),
];

test.for(names)("%s is cited where it is enforced", (name) => {
  const cites = new RegExp(`//.*\\b${name}\\b`);
  const files = production.filter(({ text }) => cites.test(text));
  expect(files.map(({ path }) => path)).not.toEqual([]);
});

test.for(names)("%s is named by a test that attacks it", (name) => {
  const title = new RegExp(`\\b(?:test|it)(?:\\.\\w+)*(?:\\([^)\\n]*\\))?\\(\\s*["'\`][^"'\`\\n]*\\b${name}\\b`);
  const files = attacks.filter(({ path, text }) => !path.startsWith("tests/architecture/") && title.test(text));
  expect(files.map(({ path }) => path)).not.toEqual([]);
});
