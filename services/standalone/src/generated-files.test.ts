import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { generatedFiles, schemaText } from "./generated-files.ts";

test.for(generatedFiles())("$path is what the code makes it (`npm run fix`)", ({ path, text }) => {
  expect(readFileSync(path, "utf8")).toBe(text);
});

test("the pipeline file's schema is a public contract: a change of it is made on purpose", () => {
  const hash = createHash("sha256").update(schemaText()).digest("hex");
  expect(hash).toBe("120f90a4cbfee71a73641ded87ef3274f20fdf405674715a0f2fae7e0a00f8f3");
});
