import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { addRawCoverage, measures, percent, readRawCoverage, summarise } from "./coverage.ts";
import type { FileCoverage } from "./coverage.ts";

/** For each measure of the whole. A process that ends by SIGKILL, as many do here, counts as never run. */
const leastPercent = 80;
const shownFiles = 8;

/**
 * Adds what the processes and threads started by tests have run to what vitest has counted in its own, prints it, and
 * tells whether each measure is above the least. Without it a worker thread or a command line would count as never run.
 */
export function coverageHolds(root: string, reportFolder: string, rawFolder: string): boolean {
  const report = JSON.parse(readFileSync(join(reportFolder, "coverage-final.json"), "utf8")) as Record<
    string,
    FileCoverage
  >;
  const files = Object.values(report);
  const run = readRawCoverage(rawFolder, files);
  for (const file of files) {
    const text = run.get(new URL(`file://${file.path}`).href);
    if (text !== undefined) addRawCoverage(file, text);
  }
  const total = summarise(files);
  const parts = measures.map((measure) => `${measure} ${percent(total[measure]).toFixed(1)} %`);
  process.stdout.write(`\ncoverage: ${parts.join(", ")}\n`);
  const least = files
    .map((file) => ({ path: relative(root, file.path), lines: percent(summarise([file]).lines) }))
    .filter(({ lines }) => lines < leastPercent)
    .toSorted((a, b) => a.lines - b.lines)
    .slice(0, shownFiles);
  for (const { path, lines } of least) process.stdout.write(`  ${lines.toFixed(0).padStart(3)} % of ${path}\n`);
  const low = measures.filter((measure) => percent(total[measure]) <= leastPercent);
  if (low.length > 0) process.stdout.write(`FAIL coverage: ${low.join(", ")} not above ${leastPercent} %\n`);
  return low.length === 0;
}
