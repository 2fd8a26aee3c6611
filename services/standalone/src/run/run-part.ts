import { DataTraceError } from "@datatrace/core";
import type { EventLog, Logger, SchemaRegistry } from "@datatrace/core";
import type { Metrics, PartError, PartState, Pipeline } from "@datatrace/runtime";

/** What every part of a run needs. */
export interface PartContext {
  readonly pipeline: Pipeline;
  readonly log: EventLog;
  readonly registry: SchemaRegistry;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Aborted when the parts shall stop. */
  readonly signal: AbortSignal;
}

export interface PartLook {
  readonly state: PartState;
  /** What it is retrying for, or has failed with. */
  readonly error: PartError | null;
}

/** A capture or a delivery of this process. Disposing it closes its database, after it has stopped. */
export interface RunPart extends AsyncDisposable {
  /** Such as `capture shop`. */
  readonly name: string;
  readonly role: "capture" | "delivery";
  /** Runs until the context's signal, or until it fails for good. */
  run(): Promise<void>;
  look(): PartLook;
  /** Brings those metrics up to date that are read rather than counted. Never throws. */
  collect(signal: AbortSignal): Promise<void>;
}

/** A part that has failed for good. */
export interface PartFailure {
  readonly part: RunPart;
  readonly error: unknown;
}

/** Another process does the work of this one now. */
export function isTakenOver({ error }: PartFailure): boolean {
  return error instanceof DataTraceError && error.code === "log.fenced";
}
