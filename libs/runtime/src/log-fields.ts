import { DataTraceError, Secret } from "@datatrace/core";
import type { LogFields } from "@datatrace/core";

const maxDepth = 6;

/**
 * The fields as they may be written (I8): a `Secret` as `[secret]`, bytes as their count, an error without the text of
 * a driver, which can hold cell values: its name, code and frames say where it came from.
 */
export function printableFields(fields: LogFields): Readonly<Record<string, unknown>> {
  return printable(fields, 0) as Readonly<Record<string, unknown>>;
}

function printable(value: unknown, depth: number): unknown {
  if (value instanceof Secret) return value.toString(); // I8
  if (value instanceof Error) return describeError(value);
  if (typeof value === "bigint") return value.toString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (typeof value === "symbol" || typeof value === "function") return `[${typeof value}]`;
  if (typeof value !== "object" || value === null) return value;
  if (depth >= maxDepth) return "[deeper]";
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Map) return printable(Object.fromEntries(value), depth);
  if (value instanceof Set) return printable([...value], depth);
  if (Array.isArray(value)) return value.map((item) => printable(item, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, printable(field, depth + 1)]));
}

function describeError(error: Error): Readonly<Record<string, unknown>> {
  if (error instanceof DataTraceError) {
    const cause = error.cause instanceof Error ? { cause: describeError(error.cause) } : {};
    const bug = error.code === "internal.bug" ? { frames: frames(error) } : {};
    return { code: error.code, message: error.message, fix: error.fix, retry: error.retry, ...bug, ...cause };
  }
  const { code } = error as NodeJS.ErrnoException;
  const own = error.message.startsWith("invariant broken:") ? { message: error.message } : {};
  return { name: error.name, ...own, ...(typeof code === "string" ? { code } : {}), frames: frames(error) }; // I8
}

/** Where it was thrown: the stack without its first lines, which repeat the message. */
function frames(error: Error): readonly string[] {
  return (error.stack ?? "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => /^at .*:\d+:\d+\)?$/.test(line))
    .slice(0, 12);
}
