import { SourceText } from "@datatrace/core";

const canonical = /^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
const zoned = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)$/;

/**
 * An instant as Debezium prints it (`2026-01-02T03:04:05.678Z`, also with an offset) in the one form of memory: UTC with
 * six digits. What has no such form (`infinity`, a year beyond 9999, nanoseconds) stays the writer's text.
 */
export function readInstant(text: string): string | SourceText {
  return canonical.test(text) ? text : widened(text);
}

function widened(text: string): string | SourceText {
  const match = zoned.exec(text);
  if (match === null) return new SourceText(text);
  const [, year, month, day, hour, minute, second = "00", fraction = "", zone = "Z"] = match;
  if (!/^0*$/.test(fraction.slice(6))) return new SourceText(text);
  const micros = fraction.slice(0, 6).padEnd(6, "0");
  const wall = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  if (zone === "Z") return `${wall}.${micros}Z`;
  const offset = zone.includes(":") ? zone : `${zone.slice(0, 3)}:${zone.slice(3)}`;
  const instant = new Date(`${wall}${offset}`);
  const iso = Number.isNaN(instant.getTime()) ? "" : instant.toISOString();
  return iso.length === 24 && !iso.startsWith("0000") ? `${iso.slice(0, 19)}.${micros}Z` : new SourceText(text);
}
