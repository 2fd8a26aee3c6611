import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { generatedFiles, schemaText } from "./generated-files.ts";

test.for(generatedFiles())("$path is what the code makes it (`npm run fix`)", ({ path, text }) => {
  expect(readFileSync(path, "utf8")).toBe(text);
});

test("the pipeline file's schema is a public contract: a change of it is made on purpose", () => {
  const hash = createHash("sha256").update(schemaText()).digest("hex");
  expect(hash).toBe("9c6deae45ae474c3d3f88a1b7d9b545dfb74bebb650b6c101d85610be2ed66e9");
});
