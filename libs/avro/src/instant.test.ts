import { SourceText } from "@datatrace/core";
import { expect, test } from "vitest";
import { readInstant } from "./instant.ts";

test.each([
  ["2026-01-02T03:04:05.123456Z", "2026-01-02T03:04:05.123456Z"],
  ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"],
  ["2026-01-02T03:04Z", "2026-01-02T03:04:00.000000Z"],
  ["2026-01-02T03:04:05.123456000Z", "2026-01-02T03:04:05.123456Z"],
  ["2026-01-02T00:04:05.123456+02:00", "2026-01-01T22:04:05.123456Z"],
  ["2026-01-02T00:04:05.1-0130", "2026-01-02T01:34:05.100000Z"],
])("%s is %s", (text, instant) => {
  expect(readInstant(text)).toBe(instant);
});

test.each([
  "infinity",
  "-infinity",
  "",
  "2026-01-02",
  "2026-01-02T03:04:05.123456789Z",
  "+12026-01-02T03:04:05Z",
  "2026-13-02T03:04:05+01:00",
  "0001-01-01T00:00:00+05:00",
])("I6: %j stays the writer's text", (text) => {
  expect(readInstant(text)).toEqual(new SourceText(text));
});
