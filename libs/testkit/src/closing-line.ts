import { writeFileSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

/** What a run came to. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

function count(modules: readonly TestModule[], unhandledErrors: number): TestCounts {
  let [passed, failed, skipped] = [0, unhandledErrors, 0];
  for (const module of modules) {
    let failedTests = 0;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === "passed") passed++;
      else if (state === "failed") failedTests++;
      else skipped++;
    }
    // A file that broke outside of its tests (it does not load, a hook threw) counts as one failure.
    failed += failedTests === 0 && !module.ok() ? 1 : failedTests;
  }
  return { passed, failed, skipped };
}

/** `12 passed, 0 failed`, and what was skipped if anything was. */
export function closingLine({ passed, failed, skipped }: TestCounts): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? "" : `, ${skipped} skipped`}`;
}

/**
 * A vitest reporter: names in one loud line what this machine cannot test, and ends with the counts. Who runs vitest
 * as a part of something larger finds them in the file named by `DATATRACE_TEST_COUNTS` instead.
 */
export class ClosingLine implements Reporter {
  readonly #notices: readonly string[];

  constructor(notices: readonly string[]) {
    this.#notices = notices;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const counts = count(modules, unhandledErrors.length);
    if (this.#notices.length > 0) process.stdout.write(`\n!!! SKIPPED: ${this.#notices.join("; ")} !!!\n`);
    const file = process.env["DATATRACE_TEST_COUNTS"];
    if (file === undefined) process.stdout.write(`\n${closingLine(counts)}\n`);
    else writeFileSync(file, JSON.stringify(counts));
  }
}
