import type { EventLog } from "@datatrace/core";

import { openKafkaEventLog } from "./kafka-event-log.ts";
import type { KafkaEventLogOptions } from "./kafka-options.ts";

/** Opens the log of `kafkaHarness` in a child process. */
export function openEventLog(parameters: string): Promise<EventLog> {
  return openKafkaEventLog(JSON.parse(parameters) as KafkaEventLogOptions);
}
