import type { ErrorCode, TableName } from "@datatrace/core";
import type { OperationCounts } from "./draft.ts";

/** One append that is durable. */
export interface AppendObservation {
  readonly tables: readonly { readonly table: TableName; readonly counts: Readonly<OperationCounts> }[];
  /** Events in it, tombstones left out; 0 for one that only moved the position. */
  readonly rows: number;
  /** Keys and values of its events. */
  readonly sizeBytes: number;
  readonly seconds: number;
}

/** Where a capture reports what happens on the normal path, for metrics. Called often: keep it cheap. Never throws. */
export interface CaptureObserver {
  appended(append: AppendObservation): void;
  /** Something failed and is tried again. */
  retried(code: ErrorCode): void;
  /** About once a second. */
  lag(bytes: number, seconds: number): void;
}

export const silentObserver: CaptureObserver = {
  appended() {
    // Nobody counts.
  },
  retried() {
    // Nobody counts.
  },
  lag() {
    // Nobody counts.
  },
};
