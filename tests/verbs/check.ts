import { closingLine } from "@datatrace/testkit/closing-line";
import { staticChecks } from "./static-checks.ts";
import { addCounts, runChecks, runTests } from "./step.ts";

// Everything that needs no server and is done within a minute.
const checks = await runChecks(staticChecks);
const tests = await runTests(["--project", "unit", "--project", "architecture"]);
const all = addCounts(checks, tests);
process.stdout.write(`\n${closingLine(all)}\n`);
process.exitCode = all.failed === 0 ? 0 : 1;
