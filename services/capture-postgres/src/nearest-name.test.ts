import { expect, test } from "vitest";
import { nearestName } from "./nearest-name.ts";

test("the candidate that is nearest, if it is near at all", () => {
  const tables = ["public.orders", "public.customers", "shop.orders"];
  expect(nearestName("public.order", tables)).toBe("public.orders");
  expect(nearestName("public.Costumers", tables)).toBe("public.customers");
  expect(nearestName("shop.ordres", tables)).toBe("shop.orders");
  expect(nearestName("warehouse.pallets", tables)).toBeNull();
  expect(nearestName("x", [])).toBeNull();
});
