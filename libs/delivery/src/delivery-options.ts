import type { EventLog, Logger, SchemaRegistry, Sink, TableExistsStrategy, TableName } from "@datatrace/core";
import type { DeliveryObserver } from "./observer.ts";

/**
 * What happens with a row that the target refuses for good. `pause`: the delivery stops before it. `skip`: its table
 * stops before it, the others go on. `skip_row`: it is recorded, and its key goes on. `quarantine`: it is recorded, and
 * every later change of its key waits behind it.
 */
export type ErrorStrategy = "pause" | "skip" | "skip_row" | "quarantine";

/** How often things are looked at. The defaults are right for production; tests shorten them. */
export interface DeliveryTiming {
  /** Between two looks at the capture's tables, at lag, and between two hints to the log. */
  readonly watchMs: number;
  /** First and longest wait before something transient is tried again. */
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
  /** Between two looks at a table whose target has to be corrected by somebody. */
  readonly stoppedMs: number;
  /** How often a row alone that waits for another key's change is tried before it counts as refused. */
  readonly orderAttempts: number;
  /** How long transactions may go on when the delivery is stopped. */
  readonly stopMs: number;
}

export const defaultTiming: DeliveryTiming = {
  watchMs: 1000,
  retryFirstMs: 100,
  retryMaxMs: 10_000,
  stoppedMs: 30_000,
  // Waits of 0.1, 0.2, … 10 s: about half a minute in all.
  orderAttempts: 9,
  stopMs: 5000,
};

export interface DeliveryOptions {
  /** Id of the delivery: its group in the log, and its name in the target's helper tables. */
  readonly delivery: string;
  /** Id of the capture whose published tables are delivered. */
  readonly capture: string;
  /** Log, registry and sink belong to the caller: none is disposed here. */
  readonly log: EventLog;
  readonly registry: SchemaRegistry;
  readonly sink: Sink;
  /** Where a table of the source goes; null when this delivery leaves it out. */
  readonly target: (source: TableName) => TableName | null;
  readonly strategy: TableExistsStrategy;
  readonly errorStrategy: ErrorStrategy;
  /** Changes applied at once, of one partition. Default 1000. */
  readonly batchRows?: number;
  /** Transactions in the target at once. Default 4. */
  readonly parallelApplies?: number;
  readonly timing?: Partial<DeliveryTiming>;
  readonly logger: Logger;
  readonly observer?: DeliveryObserver;
  /** Stops the delivery. */
  readonly signal?: AbortSignal;
}

export const defaultBatchRows = 1000;
export const defaultParallelApplies = 4;
