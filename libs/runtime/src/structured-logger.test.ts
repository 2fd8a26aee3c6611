import { DataTraceError, Secret } from "@datatrace/core";
import { expect, test } from "vitest";
import { readableLogLine } from "./readable-log.ts";
import { StructuredLogger } from "./structured-logger.ts";

function openLogger() {
  const lines: string[] = [];
  const logger = StructuredLogger.open({
    level: "info",
    destination: { write: (line: string) => void lines.push(line) },
  });
  return { logger, lines, records: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

test("writes one JSON line per event, with the fields of `with`", () => {
  const { logger, lines, records } = openLogger();
  logger.with({ capture: "shop" }).info("capture started", { tables: 3, position: 12n });
  expect(lines[0]).toMatch(/^\{.*\}\n$/);
  expect(records()).toMatchObject([
    { level: "info", event: "capture started", capture: "shop", tables: 3, position: "12" },
  ]);
  expect(records()[0]?.["time"]).toMatch(/^\d{4}-\d\d-\d\dT/);
});

test("a change of level reaches loggers that were made before", () => {
  const { logger, records } = openLogger();
  const part = logger.with({ part: "sink" });
  part.debug("unseen");
  logger.level = "debug";
  part.debug("seen");
  logger.level = "error";
  part.warn("unseen");
  expect(records().map(({ event }) => event)).toEqual(["seen"]);
});

test("I8: secrets, bytes and the messages of foreign errors are not written", () => {
  const { logger, lines, records } = openLogger();
  const planted = "planted-value";
  const driver = Object.assign(new Error(`Key (email)=(${planted}) exists.\n${planted}`), {
    code: "23505",
    detail: planted,
  });
  logger.error("failed", {
    url: new Secret(planted),
    nested: { list: [new Secret(planted)], map: new Map([["url", new Secret(planted)]]) },
    bytes: new TextEncoder().encode(planted),
    error: driver,
    wrapped: new DataTraceError("sink.row_rejected", { cause: driver, detail: { column: "email" } }),
  });
  expect(lines.join("")).not.toContain(planted);
  expect(records()[0]).toMatchObject({
    url: "[secret]",
    nested: { list: ["[secret]"], map: { url: "[secret]" } },
    bytes: "[13 bytes]",
    error: { name: "Error", code: "23505" },
    wrapped: {
      code: "sink.row_rejected",
      message: "The target refuses one row. (column=email)",
      cause: { code: "23505" },
    },
  });
  expect((records()[0]!["error"] as { frames: string[] }).frames[0]).toContain("structured-logger.test.ts");
});

test("a readable line for terminals", () => {
  const line =
    '{"level":"warn","time":"2026-01-02T03:04:05.678Z","event":"slow","table":"public.a","text":"a b","n":3}\n';
  expect(readableLogLine(line, false)).toBe('03:04:05 warn  slow table=public.a text="a b" n=3');
  expect(readableLogLine(line, true)).toContain("\u001B[33m");
});
