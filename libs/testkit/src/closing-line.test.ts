import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { temporaryDirectory } from "./temporary-directory.ts";

const reporter = join(import.meta.dirname, "closing-line.ts");
const vitest = join(fileURLToPath(import.meta.resolve("vitest/package.json")), "..", "vitest.mjs");

/** Runs these test files in a vitest of their own. */
async function runVitest(files: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}) {
  await using folder = await temporaryDirectory("vitest");
  const config = `
import { ClosingLine } from ${JSON.stringify(reporter)};
export default { test: { globals: true, reporters: [new ClosingLine(["Oracle is missing: buy it"])] } };
`;
  for (const [name, text] of Object.entries({ ...files, "vitest.config.ts": config })) {
    writeFileSync(join(folder.path, name), text);
  }
  const counts = join(folder.path, "counts.json");
  const given = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, value.replace("COUNTS", counts)]));
  const { VITEST: _v, NODE_V8_COVERAGE: _c, DATATRACE_TEST_COUNTS: _d, ...outer } = process.env;
  const { stdout, status } = spawnSync(
    process.execPath,
    [vitest, "run", "--root", folder.path, "--configLoader", "native"],
    { cwd: folder.path, encoding: "utf8", env: { ...outer, ...given } },
  );
  return {
    lines: stdout.trim().split("\n"),
    status,
    counts: given["DATATRACE_TEST_COUNTS"] ? readFileSync(counts, "utf8") : "",
  };
}

const files = {
  "good.test.ts": 'test("a", () => {}); describe("in", () => { test("b", () => {}); });',
  "bad.test.ts": 'test("a", () => { throw new Error("no"); }); test("b", () => {});',
  "broken.test.ts": 'throw new Error("does not load");',
  "hook.test.ts": 'afterAll(() => { throw new Error("hook"); }); test("a", () => {});',
  "later.test.ts": 'test("a", (context) => { context.skip(); }); test("b", () => {});',
};

test("ends with what passed, failed and was skipped, a file that breaks being a failure of its own", async () => {
  const { lines, status } = await runVitest(files);
  expect(lines.at(-1)).toBe("5 passed, 3 failed, 1 skipped");
  expect(lines).toContain("!!! SKIPPED: Oracle is missing: buy it !!!");
  expect(status).toBe(1);
});

test("says nothing of what was not skipped", async () => {
  const { lines, status } = await runVitest({ "good.test.ts": files["good.test.ts"] });
  expect(lines.at(-1)).toBe("2 passed, 0 failed");
  expect(status).toBe(0);
});

test("an error that belongs to no test is a failure", async () => {
  const { lines, status } = await runVitest({
    "stray.test.ts":
      'test("a", async () => { void Promise.reject(new Error("stray")); await new Promise((r) => setTimeout(r, 50)); });',
  });
  expect(lines.at(-1)).toBe("1 passed, 1 failed");
  expect(status).toBe(1);
});

test("writes the counts to a file for who asked for it", async () => {
  const { lines, counts } = await runVitest(files, { DATATRACE_TEST_COUNTS: "COUNTS" });
  expect(JSON.parse(counts)).toEqual({ passed: 5, failed: 3, skipped: 1 });
  expect(lines.join("\n")).not.toContain("passed, ");
});
