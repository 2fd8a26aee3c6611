import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Guard } from "./guard.ts";

interface JsonReport {
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly title: string;
      readonly status: string;
    }[];
  }[];
}

/** What became of a guard's test: `absent` when no test of that title ran, `broken` when the runner itself failed or hung. */
export type TestOutcome = "passed" | "failed" | "absent" | "broken";

const timeoutMs = 240_000;

/** Runs the one test of a guard in `root`. */
export async function runTest(root: string, test: Guard["test"]): Promise<TestOutcome> {
  const folder = mkdtempSync(join(tmpdir(), "datatrace-guard-report-"));
  const report = join(folder, "report.json");
  const title = test.title.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
  const args = [
    vitest,
    "run",
    test.file,
    "-t",
    title,
    "--reporter=json",
    `--outputFile=${report}`,
    "--coverage.enabled=false",
  ];
  try {
    const hung = await new Promise<boolean>((resolve, reject) => {
      const child = spawn(process.execPath, args, { cwd: root, stdio: "ignore", env: { ...process.env, CI: "true" } });
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        resolve(true);
      }, timeoutMs);
      child.once("error", reject);
      child.once("exit", () => {
        clearTimeout(timer);
        resolve(false);
      });
    });
    if (hung) return "broken";
    return outcome(JSON.parse(readFileSync(report, "utf8")) as JsonReport, test.title);
  } catch {
    return "broken";
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function outcome(report: JsonReport, title: string): TestOutcome {
  const results = report.testResults.flatMap((file) => file.assertionResults);
  const ran = results.filter(
    (result) => result.fullName.includes(title) && result.status !== "skipped" && result.status !== "pending",
  );
  if (ran.length === 0) return "absent";
  return ran.some((result) => result.status === "failed") ? "failed" : "passed";
}
