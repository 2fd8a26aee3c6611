import { expect, test } from "vitest";
import { parseDemoOptions } from "./options.ts";

test("without options the demo runs until it is stopped, with 200,000 rows", () => {
  expect(parseDemoOptions([])).toEqual({ onceSeconds: null, kill: false, kafka: false, rows: 200_000, help: false });
});

test("every option is understood", () => {
  expect(parseDemoOptions(["--once", "20", "--kill", "--kafka", "--rows", "1000000"])).toEqual({
    onceSeconds: 20,
    kill: true,
    kafka: true,
    rows: 1_000_000,
    help: false,
  });
});

test.each([[["--once"]], [["--once", "0"]], [["--once", "abc"]], [["--rows", "12.5"]], [["--fast"]], [["extra"]]])(
  "%j is wrong usage",
  (args) => {
    expect(() => parseDemoOptions(args)).toThrow(expect.objectContaining({ code: "config.usage" }));
  },
);
