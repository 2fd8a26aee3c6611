import type { DataTraceError, ErrorCode, TableName, TablePhase, TopicPartition } from "@datatrace/core";

export interface StatusError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly fix: string;
  readonly at: Date;
}

/**
 * `claiming`: not yet the owner. `running`. `retrying`: something transient is in the way, `cause` says what; it goes on
 * by itself. `stopped`: see the table's error.
 */
export type PartitionState = "claiming" | "running" | "retrying" | "stopped";

/** One partition of this member. */
export interface PartitionStatus extends TopicPartition {
  readonly state: PartitionState;
  /** Offset stored in the target; null until it was claimed. */
  readonly next: bigint | null;
  /** Records that are not applied; null until it was looked at. */
  readonly lagRows: bigint | null;
  readonly parkedKeys: number;
  readonly cause: StatusError | null;
}

/** `failed`: nothing more of this table is applied until its error is dealt with; the others go on. */
export type TableState = "running" | "retrying" | "failed";

export interface TableStatus {
  /** Of the source. */
  readonly table: TableName;
  readonly target: TableName;
  readonly topic: string;
  /** How far the capture is with it. */
  readonly phase: TablePhase;
  readonly state: TableState;
  readonly error: StatusError | null;
  /** Partitions that this member owns. */
  readonly partitions: readonly PartitionStatus[];
  /** Of all members. */
  readonly lagRows: bigint;
  readonly parkedKeys: number;
  /** Changes applied since this process began. */
  readonly rowsApplied: bigint;
}

/** `paused`: by the error strategy `pause`. `failed`: something that does not pass by itself. */
export type DeliveryState = "starting" | "running" | "paused" | "failed" | "stopped";

export interface DeliveryStatus {
  readonly state: DeliveryState;
  readonly tables: readonly TableStatus[];
  readonly lagRows: bigint;
  readonly lagSeconds: number;
  readonly parkedKeys: number;
  readonly rowsApplied: bigint;
  readonly retries: number;
  /** The last trouble, also when it is over; null when there was none. */
  readonly lastError: StatusError | null;
}

export function statusError({ code, message, fix }: DataTraceError): StatusError {
  return { code, message, fix, at: new Date() };
}
