import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { TestCounts } from "@datatrace/testkit/closing-line";
import { coverageHolds } from "./coverage-gate.ts";

/** One program of a verb, found on the path. */
export interface Step {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

const root = join(import.meta.dirname, "..", "..");

function seconds(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}

/** Runs a step out of sight: its output is shown only when it fails. */
async function runQuietly({ name, command: [file, ...args] }: Step): Promise<boolean> {
  const start = performance.now();
  const child = spawn(file, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once("error", reject);
  child.once("close", resolve);
  const [code, out, err] = await Promise.all([promise, text(child.stdout), text(child.stderr)]);
  process.stdout.write(`${code === 0 ? "ok  " : "FAIL"} ${name} (${seconds(start)})\n`);
  if (code !== 0) process.stdout.write(`${out}${err}\n`);
  return code === 0;
}

/** Runs the steps side by side; each counts as one test. */
export async function runChecks(steps: readonly Step[]): Promise<TestCounts> {
  const results = await Promise.all(steps.map((step) => runQuietly(step)));
  const passed = results.filter(Boolean).length;
  return { passed, failed: steps.length - passed, skipped: 0 };
}

/**
 * Runs vitest in view of everybody. With `coverage`, what was run must be above the gate; a run that breaks without a
 * failed test, and a gate not passed, count as one failure.
 */
export async function runTests(args: readonly string[], coverage: "gated" | "none" = "none"): Promise<TestCounts> {
  const folder = mkdtempSync(join(tmpdir(), "datatrace-run-"));
  const [countsFile, raw, report] = ["counts.json", "raw", "report"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(raw);
  const flags = coverage === "gated" ? ["--coverage", `--coverage.reportsDirectory=${report}`] : [];
  try {
    const child = spawn("vitest", ["run", ...flags, ...args], {
      cwd: root,
      stdio: ["ignore", "inherit", "inherit"],
      env: {
        ...process.env,
        DATATRACE_TEST_COUNTS: countsFile,
        ...(coverage === "gated" ? { DATATRACE_CHILD_COVERAGE: raw } : {}),
      },
    });
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.once("error", reject);
    child.once("close", resolve);
    const code = await promise;
    const counts = readCounts(countsFile);
    if (code !== 0) return counts.failed > 0 ? counts : { ...counts, failed: 1 };
    return coverage === "none" || coverageHolds(root, report, raw) ? counts : { ...counts, failed: 1 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readCounts(file: string): TestCounts {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as TestCounts;
  } catch {
    // It ended before there was anything to count.
    return { passed: 0, failed: 0, skipped: 0 };
  }
}

export function addCounts(a: TestCounts, b: TestCounts): TestCounts {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}
