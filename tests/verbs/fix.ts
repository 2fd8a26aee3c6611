import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { generatedFiles } from "@datatrace/standalone/generated-files";
import { guards } from "../guards/guards.ts";
import { invariantsPage } from "../guards/invariants-page.ts";
import { errorsPage, errorsPagePath } from "./errors-page.ts";
import { runChecks } from "./step.ts";
import { typesPage, typesPagePath } from "./types-page.ts";

// Brings everything that a program can write into the state that `npm run check` asks for.
const lint = await runChecks([{ name: "lint", command: ["oxlint", "--type-aware", "--fix", "."] }]);
const format = await runChecks([{ name: "format", command: ["oxfmt", "."] }]);
// Last, since pages name lines.
const root = join(import.meta.dirname, "..", "..");
const generated = [
  { path: errorsPagePath, text: errorsPage() },
  { path: typesPagePath, text: typesPage() },
  { path: join(root, "docs", "invariants.md"), text: invariantsPage(root, guards) },
  ...generatedFiles(),
];
for (const { path, text } of generated) await writeFile(path, text);

process.exitCode = lint.failed + format.failed === 0 ? 0 : 1;
