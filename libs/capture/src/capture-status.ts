import type { DataTraceError, ErrorCode, PublishedTable, Position, TablePhase } from "@datatrace/core";

export interface TableStatus {
  /** `schema.table`. */
  readonly table: string;
  readonly topic: string;
  readonly phase: TablePhase;
  readonly rowsRead: number;
  /** The source's estimate; 0 when it has none. */
  readonly estimatedRows: number;
  /** Rows read per second, lately; 0 when nothing is being read. */
  readonly rowsPerSecond: number;
  /** Keys that are still to be read again. */
  readonly rereads: number;
  readonly error: PublishedTable["error"];
}

/** `retrying`: the source or the log is not there; the capture goes on by itself when it is. */
export type CaptureState = "starting" | "running" | "retrying" | "finished" | "stopped" | "failed";

export interface StatusError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly fix: string;
  readonly at: Date;
}

export interface CaptureStatus {
  readonly state: CaptureState;
  readonly tables: readonly TableStatus[];
  /** What the log has; null before the first position. */
  readonly position: Position | null;
  readonly lagBytes: number;
  readonly lagSeconds: number;
  /** Since the capture was made, over all its runs. */
  readonly rowsAppended: bigint;
  /** Since this process began. */
  readonly retries: number;
  /** The last trouble, also when it is over; null when there was none. */
  readonly lastError: StatusError | null;
}

export function statusError({ code, message, fix }: DataTraceError): StatusError {
  return { code, message, fix, at: new Date() };
}
