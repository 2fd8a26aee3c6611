import { expect, test } from "vitest";
import { RecordingLogger } from "./recording-logger.ts";

test("keeps the lines of a logger and of those made from it, in order", () => {
  const logger = new RecordingLogger();
  const child = logger.with({ capture: "shop" });
  logger.info("started", { lag: 3n });
  child.with({ table: "orders" }).warn("table_parked", { code: "source.truncate_unsupported" });
  child.debug("tick");
  expect(logger.lines).toEqual([
    { level: "info", event: "started", fields: { lag: 3n } },
    {
      level: "warn",
      event: "table_parked",
      fields: { capture: "shop", table: "orders", code: "source.truncate_unsupported" },
    },
    { level: "debug", event: "tick", fields: { capture: "shop" } },
  ]);
  expect(logger.of("tick")).toHaveLength(1);
});

test("I8: the text to search has every field, an error's message and those of its causes", () => {
  const logger = new RecordingLogger();
  logger.error("failed", { error: new Error("outer", { cause: new Error("planted-value") }), count: 12n });
  const [line = ""] = logger.text().split("\n");
  expect(line).toContain("planted-value");
  expect(JSON.parse(line)).toMatchObject({ level: "error", event: "failed", count: "12", error: { message: "outer" } });
});
