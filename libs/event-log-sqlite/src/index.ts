export { openSqliteEventLog, SqliteEventLog } from "./sqlite-event-log.ts";
export type { SqliteEventLogOptions } from "./sqlite-event-log.ts";
export type { LogStatistics, TopicStatistics } from "./statistics.ts";
