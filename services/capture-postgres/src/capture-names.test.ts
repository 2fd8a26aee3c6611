import { expect, test } from "vitest";
import { captureNames } from "./capture-names.ts";

test("a plain id is the name; any other keeps two captures apart by a hash", () => {
  expect(captureNames("shop_source")).toEqual({
    slot: "datatrace_shop_source",
    publication: "datatrace_shop_source",
    watermarkPrefix: "datatrace/shop_source",
    applicationName: "datatrace shop_source",
  });
  const names = ["Shop", "shop", "sh-op", "sh_op", "x".repeat(100), `${"x".repeat(100)}y`].map(
    (id) => captureNames(id).slot,
  );
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^[a-z0-9_]{1,63}$/);
});
