import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { generatedFiles, schemaText } from "./generated-files.ts";

test.for(generatedFiles())("$path is what the code makes it (`npm run fix`)", ({ path, text }) => {
  expect(readFileSync(path, "utf8")).toBe(text);
});

test("the pipeline file's schema is a public contract: a change of it is made on purpose", () => {
  const hash = createHash("sha256").update(schemaText()).digest("hex");
  expect(hash).toBe("2fe00b89f12b19918ec80395533633e409997725c44f4e726c279ee691deb8ca");
});
