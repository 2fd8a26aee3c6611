import fc from "fast-check";
import { expect, test } from "vitest";
import { dateText, daysOf, timeText } from "./calendar.ts";

test("days and dates are the same as the platform's, for every day of year 1 to 9999", () => {
  const first = daysOf(1, 1, 1);
  const last = daysOf(9999, 12, 31);
  expect([first, last]).toEqual([-719_162, 2_932_896]);
  fc.assert(
    fc.property(fc.integer({ min: first, max: last }), (days) => {
      const text = new Date(days * 86_400_000).toISOString().slice(0, 10);
      const [year = "", month = "", day = ""] = text.split("-");
      expect(dateText(days)).toBe(text);
      expect(daysOf(Number(year), Number(month), Number(day))).toBe(days);
    }),
    { numRuns: 2_000 },
  );
});

test("times have a fraction only when there is one", () => {
  expect([0, 1, 3_723_000_000, 86_399_999_999, 86_400_000_000].map((us) => timeText(us))).toEqual([
    "00:00:00",
    "00:00:00.000001",
    "01:02:03",
    "23:59:59.999999",
    "24:00:00",
  ]);
});
