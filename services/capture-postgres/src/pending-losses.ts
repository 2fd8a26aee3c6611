import type { DataTraceError, TableName } from "@datatrace/core";
import type { Lsn } from "@datatrace/postgres";

export interface TableLoss {
  readonly table: TableName;
  readonly error: DataTraceError;
}

/** Losses that the catalog told of: each is passed on when the stream has come as far as the WAL was then. */
export class PendingLosses {
  #waiting: readonly (TableLoss & { readonly after: Lsn })[] = [];

  add(loss: TableLoss, after: Lsn): void {
    this.#waiting = [...this.#waiting, { ...loss, after }];
  }

  /** Takes those whose place the stream has reached. */
  take(end: Lsn): readonly TableLoss[] {
    const due = this.#waiting.filter((loss) => loss.after <= end);
    if (due.length > 0) this.#waiting = this.#waiting.filter((loss) => loss.after > end);
    return due;
  }
}
