import type { CaptureSource, EventLog, Logger, SchemaRegistry } from "@datatrace/core";
import type { TableSelection } from "./catalog.ts";
import type { BatchBounds } from "./log-appender.ts";
import type { CaptureObserver } from "./observer.ts";

/**
 * `snapshot+stream`: tables are read and followed. `stream`: only followed. `snapshot`: read once, consistently, while
 * following; a table that is read is done, and the capture ends when all are.
 */
export type CaptureMode = "snapshot+stream" | "snapshot" | "stream";

/** How often things are looked at. The defaults are right for production; tests shorten them. */
export interface CaptureTiming {
  /** Between two looks at the source's tables. */
  readonly tablesMs: number;
  /** Between two looks at what is visible, while transactions are delivered that nobody was seen to see. */
  readonly visibilityMs: number;
  /** A position without events is stored this often at most. */
  readonly heartbeatMs: number;
  readonly lagMs: number;
  /** First and longest wait before a failed source is tried again. */
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
}

export interface CaptureOptions {
  /** Id of the capture: its writer, its topics of position and state. */
  readonly capture: string;
  /** First part of every data topic's name. */
  readonly prefix: string;
  /** Belongs to the caller, as the log does: neither is disposed here. */
  readonly source: CaptureSource;
  readonly log: EventLog;
  readonly registry: SchemaRegistry;
  readonly tables: TableSelection;
  readonly mode: CaptureMode;
  /** Rows of a chunk; fewer where rows are large. Default 10,000. */
  readonly chunkRows?: number;
  /** Chunks in flight at once, over all tables. Default 4. */
  readonly parallelChunks?: number;
  readonly batch?: Partial<BatchBounds>;
  readonly timing?: Partial<CaptureTiming>;
  readonly logger: Logger;
  readonly observer?: CaptureObserver;
  /** Stops the capture. */
  readonly signal?: AbortSignal;
}

export const defaultBatch: BatchBounds = { maxRows: 5000, maxBytes: 4 * 1024 * 1024 };

export const defaultTiming: CaptureTiming = {
  tablesMs: 1000,
  visibilityMs: 100,
  heartbeatMs: 10_000,
  lagMs: 1000,
  retryFirstMs: 250,
  retryMaxMs: 15_000,
};
