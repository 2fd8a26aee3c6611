/**
 * Takes each guard of an invariant away, in a copy of the tree, and demands that its named test then fails: a test that
 * cannot fail proves nothing. `--short` runs those marked short, `--only TEXT` those whose name has the text, `--page`
 * only writes docs/invariants.md.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Guard } from "./guard.ts";
import { guards } from "./guards.ts";
import { invariantsPage } from "./invariants-page.ts";
import { runTest } from "./run-test.ts";
import { TreeCopy } from "./tree-copy.ts";

const root = resolve(import.meta.dirname, "..", "..");
const { values: options } = parseArgs({
  options: {
    short: { type: "boolean", default: false },
    only: { type: "string" },
    page: { type: "boolean", default: false },
  },
});

function selected(): readonly Guard[] {
  const only = options.only;
  if (only !== undefined) return guards.filter((guard) => guard.name.includes(only));
  return options.short ? guards.filter((guard) => guard.short === true) : guards;
}

/** Null when the guard was proven, else what went wrong. */
async function prove(copy: TreeCopy, guard: Guard): Promise<string | null> {
  const path = join(copy.root, guard.file);
  const text = readFileSync(path, "utf8");
  if (text.split(guard.find).length !== 2) return "its text is not exactly once in the file";
  const before = await runTest(copy.root, guard.test);
  if (before !== "passed") return `with the guard in place its test is ${before}`;
  writeFileSync(
    path,
    text.replace(guard.find, () => guard.replace),
  );
  try {
    const after = await runTest(copy.root, guard.test);
    return after === "failed" ? null : `without the guard its test is ${after}`;
  } finally {
    writeFileSync(path, text);
  }
}

async function main(): Promise<number> {
  if (options.page) {
    writeFileSync(join(root, "docs", "invariants.md"), invariantsPage(root, guards));
    return 0;
  }
  using copy = new TreeCopy(root);
  let passed = 0;
  let failed = 0;
  for (const guard of selected()) {
    const wrong = await prove(copy, guard);
    if (wrong === null) passed += 1;
    else failed += 1;
    process.stdout.write(
      `${JSON.stringify({ guard: guard.name, invariant: guard.invariant, result: wrong === null ? "proven" : wrong })}\n`,
    );
  }
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

process.exitCode = await main();
