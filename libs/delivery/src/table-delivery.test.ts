import { expect, test } from "vitest";
import { isBearable } from "./table-delivery.ts";

test("a few parked keys are borne whatever their share, then one in twenty, a thousand at most", () => {
  expect(isBearable(0, 0n)).toBe(true);
  expect(isBearable(19, 20n)).toBe(true);
  expect(isBearable(20, 100n)).toBe(false);
  expect(isBearable(20, 400n)).toBe(false);
  expect(isBearable(20, 401n)).toBe(true);
  expect(isBearable(999, 1_000_000n)).toBe(true);
  expect(isBearable(1000, 1_000_000_000n)).toBe(false);
});
