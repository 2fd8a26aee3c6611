import { expect, test } from "vitest";
import { Fencings } from "./fencings.ts";

test("three within a minute are too many, of one capture; the same three in a longer time are not", () => {
  let now = 0;
  const fencings = new Fencings(() => now);
  const at = (seconds: number, id = "shop.shop"): boolean => {
    now = seconds * 1000;
    return fencings.note(id);
  };
  expect([at(0), at(10), at(20, "other.shop"), at(59)]).toEqual([false, false, false, true]);
  expect([at(200), at(230), at(261), at(262)]).toEqual([false, false, false, true]);
});
