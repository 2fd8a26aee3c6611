export { KafkaEventLog, openKafkaEventLog } from "./kafka-event-log.ts";
export type { KafkaEventLogOptions, SaslOptions } from "./kafka-options.ts";
export { probeKafka } from "./probe.ts";
export type { LogStatistics, TopicStatistics } from "./statistics.ts";
