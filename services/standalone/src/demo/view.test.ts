import { expect, test } from "vitest";
import type { DemoView } from "./view.ts";
import { etaSeconds, renderLine, renderView } from "./view.ts";

const view: DemoView = {
  step: "snapshot",
  elapsedMs: 3_000,
  snapshot: { rows: 50_000, estimatedRows: 200_000, rowsPerSecond: 25_000 },
  live: { committed: 600, committedPerSecond: 200, lagRows: 42, p50Ms: 6.25, p99Ms: 31, pendingMs: 5 },
  kills: null,
  problem: null,
};

test("a snapshot shows its share, rate and the time it will take", () => {
  expect(renderLine(view)).toContain("25 %  50,000 rows  25,000 rows/s  ETA 6 s");
  expect(renderView(view, 120)[0]).toMatch(/█+░+/);
});

test("without a rate there is no ETA, and an estimate that was too small never shows 100 %", () => {
  expect(etaSeconds({ rows: 1, estimatedRows: 2, rowsPerSecond: 0 })).toBeNull();
  const beyond = { ...view, snapshot: { rows: 300_000, estimatedRows: 200_000, rowsPerSecond: 1 } };
  expect(renderLine(beyond)).toContain("99 %");
  expect(etaSeconds(beyond.snapshot)).toBe(0);
});

test("live shows lag and both percentiles, with a dash for what is not known", () => {
  expect(renderLine(view)).toContain("lag 42 rows  latency p50 6.3 ms  p99 31 ms");
  const unknown = { ...view, live: { ...view.live, lagRows: null, p50Ms: null, p99Ms: null } };
  expect(renderLine(unknown)).toContain("lag - rows  latency p50 -  p99 -");
});

test("trouble is shown with its fix", () => {
  const problem = {
    code: "source.connection_lost",
    message: "The source cannot be reached.",
    fix: "Check that it runs.",
  };
  expect(renderView({ ...view, problem }, 100).slice(-2)).toEqual([
    "problem   source.connection_lost: The source cannot be reached.",
    "fix       Check that it runs.",
  ]);
});

test("no line is wider than the terminal", () => {
  for (const width of [40, 80, 200]) {
    expect(Math.max(...renderView(view, width).map((line) => line.length))).toBeLessThanOrEqual(width);
  }
});
