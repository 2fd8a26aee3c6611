import { expect, test } from "vitest";
import { LatencyWindow } from "./latency.ts";

test("quantiles come from the newest 600 samples", () => {
  const window = new LatencyWindow();
  expect(window.quantile(0.5)).toBeNull();
  for (let ms = 1; ms <= 1_000; ms += 1) window.add(ms);
  expect(window.quantile(0.5)).toBe(701);
  expect(window.quantile(0.99)).toBe(995);
  expect(window.quantile(1)).toBe(1_000);
});
