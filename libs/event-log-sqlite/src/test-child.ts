import type { EventLog } from "@datatrace/core";

import { openSqliteEventLog } from "./sqlite-event-log.ts";

export interface ChildParameters {
  readonly directory: string;
  readonly leaseMs: number;
  readonly maxSizeBytes?: number;
}

/** Opens the log of `sqliteHarness` in a child process. */
export function openEventLog(parameters: string): Promise<EventLog> {
  return openSqliteEventLog(JSON.parse(parameters) as ChildParameters);
}
