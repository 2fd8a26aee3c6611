import { expect, test } from "vitest";
import { etaSeconds, etaText } from "../eta.ts";
import { RecentLatencies } from "./recent-latencies.ts";
import { renderRun } from "./run-view.ts";
import type { CaptureView, DeliveryView } from "./run-view.ts";
import { textTable } from "../text-table.ts";

const capture: CaptureView = {
  source: "shop",
  state: "running",
  tables: { all: 5, snapshotting: 2, parked: 1 },
  snapshot: { rows: 430_000, estimatedRows: 1_000_000, rowsPerSecond: 95_000 },
  lagBytes: 1_400_000,
  lagSeconds: 0.25,
  problem: null,
};
const delivery: DeliveryView = {
  task: "orders",
  target: "warehouse",
  state: "retrying",
  lagRows: 1234,
  rowsPerSecond: 90_500,
  p50Seconds: 0.0042,
  p99Seconds: 0.031,
  problem: "sink.connection_lost: The target cannot be reached. fix: Start it.",
};

test("a bar with rate and time left, then lag and latency, then what is wrong", () => {
  expect(renderRun({ captures: [capture], deliveries: [delivery] })).toEqual([
    "capture shop: running, 5 tables, 1 stopped, behind 1.4 MB, 0.3 s",
    `  snapshot ${"█".repeat(12)}${"░".repeat(18)} 43 % 430,000 of about 1,000,000 rows, 95,000 rows/s, left: 5 s to 8 s`,
    "delivery orders to warehouse: retrying, 1,234 rows to go, 90,500 rows/s, latency p50 4.2 ms p99 31 ms",
    "  sink.connection_lost: The target cannot be reached. fix: Start it.",
  ]);
});

test("without a snapshot there is no bar, without changes no latency", () => {
  const idle = { ...capture, tables: { all: 5, snapshotting: 0, parked: 0 } };
  const waiting = { ...delivery, lagRows: null, p50Seconds: null, problem: null };
  expect(renderRun({ captures: [idle], deliveries: [waiting] })).toEqual([
    "capture shop: running, 5 tables, behind 1.4 MB, 0.3 s",
    "delivery orders to warehouse: retrying, - rows to go, 90,500 rows/s",
  ]);
});

test("an estimate that is too low never shows a snapshot as complete", () => {
  const beyond = { ...capture, snapshot: { rows: 20, estimatedRows: 10, rowsPerSecond: 0 } };
  const [, bar] = renderRun({ captures: [beyond], deliveries: [] });
  expect(bar).toContain("99 % 20 of about 20 rows, 0 rows/s");
});

test("the time that is left", () => {
  expect(etaSeconds(0, 100)).toBeNull();
  expect(etaText(etaSeconds(1000, 0))).toBe("never at this rate");
  expect(etaText(etaSeconds(1000, 1000))).toBe("a moment");
  expect(etaText(etaSeconds(1000, 1))).toBe("13 min to 21 min");
  expect(etaText(etaSeconds(36_000, 1))).toBe("7 h 30 min to 12 h 30 min");
});

test("quantiles are those of the newest changes", () => {
  const latencies = new RecentLatencies();
  expect(latencies.quantile(0.5)).toBeNull();
  for (let index = 0; index < 3000; index++) latencies.add(9);
  for (let index = 1; index <= 2048; index++) latencies.add(index / 1000);
  expect(latencies.quantile(0.5)).toBeCloseTo(1.025);
  expect(latencies.quantile(1)).toBeCloseTo(2.048);
});

test("columns of numbers stand to the right", () => {
  expect(
    textTable([
      ["table", "rows", "error"],
      ["public.a", "1,000", ""],
      ["b", "-", "x.y"],
    ]),
  ).toEqual(["table      rows  error", "public.a  1,000", "b             -  x.y"]);
});
