import type { ErrorCode, TableName } from "@datatrace/core";

/** What one partition got applied by one transaction of the target, which may hold several. */
export interface ApplyObservation {
  /** Of the source. */
  readonly table: TableName;
  /** Changes of the log, tombstones left out, before they were collapsed to one per key. */
  readonly rows: number;
  /** Keys and values of their records. */
  readonly sizeBytes: number;
  /** From handing it to the target until it was durable there. */
  readonly seconds: number;
  /** Rows written to the target. */
  readonly upserts: number;
  readonly deletes: number;
  readonly partials: number;
}

/** Where a delivery reports what happens on the normal path, for metrics. Called often: keep it cheap. Never throws. */
export interface DeliveryObserver {
  applied(apply: ApplyObservation): void;
  /** From a commit in the source until its changes in one batch were durable in the target. Needs clocks that agree. */
  latency(seconds: number): void;
  /** Something failed and is tried again. */
  retried(code: ErrorCode): void;
  /** Changes that were put into quarantine or skipped. */
  quarantined(rows: number): void;
  /** About once a second: records that are not applied, the age of the oldest seen, keys in quarantine. */
  lag(rows: number, seconds: number, parkedKeys: number): void;
}

export const silentObserver: DeliveryObserver = {
  applied() {
    // Nobody counts.
  },
  latency() {
    // Nobody counts.
  },
  retried() {
    // Nobody counts.
  },
  quarantined() {
    // Nobody counts.
  },
  lag() {
    // Nobody counts.
  },
};
