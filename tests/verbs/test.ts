import { closingLine } from "@datatrace/testkit/closing-line";
import { staticChecks } from "./static-checks.ts";
import { addCounts, runChecks, runTests } from "./step.ts";

// Everything: arguments go to vitest, and then nothing else is checked and no coverage is asked for.
const given = process.argv.slice(2);
const checks = given.length === 0 ? await runChecks(staticChecks) : { passed: 0, failed: 0, skipped: 0 };
const tests = await runTests(given, given.length === 0 ? "gated" : "none");
const all = addCounts(checks, tests);
process.stdout.write(`\n${closingLine(all)}\n`);
process.exitCode = all.failed === 0 ? 0 : 1;
