import type { Logger } from "@datatrace/core";
import { openSqliteEventLog } from "@datatrace/event-log-sqlite";
import type { SqliteEventLog } from "@datatrace/event-log-sqlite";
import type { Pipeline } from "@datatrace/runtime";

/** The pipeline's event log. Several processes may have it open. @throws DataTraceError as `openSqliteEventLog`. */
export async function openLog({ log }: Pipeline, logger: Logger): Promise<SqliteEventLog> {
  const limit = log.maxSizeBytes === null ? {} : { maxSizeBytes: log.maxSizeBytes };
  return await openSqliteEventLog({ directory: log.directory, logger, ...limit });
}
