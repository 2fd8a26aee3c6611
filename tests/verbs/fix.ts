import { writeFile } from "node:fs/promises";
import { generatedFiles } from "@datatrace/standalone/generated-files";
import { errorsPage, errorsPagePath } from "./errors-page.ts";
import { runChecks } from "./step.ts";

// Brings everything that a program can write into the state that `npm run check` asks for.
const generated = [{ path: errorsPagePath, text: errorsPage() }, ...generatedFiles()];
for (const { path, text } of generated) await writeFile(path, text);
const lint = await runChecks([{ name: "lint", command: ["oxlint", "--type-aware", "--fix", "."] }]);
const format = await runChecks([{ name: "format", command: ["oxfmt", "."] }]);
process.exitCode = lint.failed + format.failed === 0 ? 0 : 1;
