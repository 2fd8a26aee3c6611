import { DataTraceError } from "@datatrace/core";

/** Ends the work on one table: the others go on. */
export class TableStop extends Error {
  readonly error: DataTraceError;
  /** True when the table is looked at again from time to time: somebody may have corrected the target. */
  readonly looksAgain: boolean;

  constructor(error: DataTraceError, looksAgain: boolean) {
    super("table stopped");
    this.name = "TableStop";
    this.error = error;
    this.looksAgain = looksAgain;
  }
}

/** Ends the whole delivery, by the error strategy `pause`. */
export class DeliveryPause extends Error {
  readonly error: DataTraceError;

  constructor(error: DataTraceError) {
    super("delivery paused");
    this.name = "DeliveryPause";
    this.error = error;
  }
}

/** True for what passes by itself when it is tried again. */
export function isPassing(error: unknown): error is DataTraceError {
  return error instanceof DataTraceError && error.retry === "timed";
}
