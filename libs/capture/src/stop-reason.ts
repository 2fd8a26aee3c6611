import { DataTraceError } from "@datatrace/core";

/** Errors of the log after which this process has no right, or no way, to go on by itself. */
const final: ReadonlySet<string> = new Set(["log.fenced", "log.closed"]);

/** The error passes by itself: the capture starts its session again, from what is stored. */
export function isPassing(error: unknown): error is DataTraceError {
  return error instanceof DataTraceError && error.retry === "timed" && !final.has(error.code);
}
