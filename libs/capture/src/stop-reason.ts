import { DataTraceError } from "@datatrace/core";

/** Errors of the log after which this process has no right, or no way, to go on by itself. */
const final: ReadonlySet<string> = new Set(["log.fenced", "log.closed"]);

/** The error passes by itself: the capture starts its session again, from what is stored. */
export function isPassing(error: unknown): error is DataTraceError {
  return error instanceof DataTraceError && error.retry === "timed" && !final.has(error.code);
}

/** What a registry says of one schema, whatever becomes of the others. */
const ofOneSchema: ReadonlySet<string> = new Set(["registry.incompatible", "registry.schema_rejected"]);

/** The registry takes no such schema: its table stops, the others go on. */
export function refusesSchema(error: unknown): error is DataTraceError {
  return error instanceof DataTraceError && ofOneSchema.has(error.code);
}
