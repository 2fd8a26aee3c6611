import { expect, test } from "vitest";
import { Rate } from "./rate.ts";

test("the rate is that of the window, and never negative", () => {
  const rate = new Rate(1_000);
  expect(rate.perSecond(0, 0)).toBe(0);
  expect(rate.perSecond(100, 500)).toBe(200);
  expect(rate.perSecond(100, 1_000)).toBe(100);
  // The first sample has left the window.
  expect(rate.perSecond(100, 1_500)).toBe(0);
  expect(rate.perSecond(50, 1_600)).toBe(0);
});
