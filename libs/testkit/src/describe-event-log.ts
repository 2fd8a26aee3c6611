import { describe } from "vitest";
import { describeAppends } from "./describe-event-log-appends.ts";
import { describeCompaction } from "./describe-event-log-compaction.ts";
import { describeGroups } from "./describe-event-log-groups.ts";
import { describeModel } from "./describe-event-log-model.ts";
import { describeProcesses } from "./describe-event-log-processes.ts";
import { describeReading } from "./describe-event-log-reading.ts";
import { describeRetention } from "./describe-event-log-retention.ts";
import { describeTopics } from "./describe-event-log-topics.ts";
import type { CreateEventLog } from "./event-log-harness.ts";

/**
 * The contract of the `EventLog` port, for every implementation. It knows of none: offsets may have gaps, members take
 * their time to join, deletion comes when it comes.
 */
export function describeEventLog(name: string, create: CreateEventLog): void {
  describe(`EventLog: ${name}`, { timeout: 120_000 }, () => {
    describeTopics(create);
    describeAppends(create);
    describeReading(create);
    describeCompaction(create);
    describeGroups(create);
    describeRetention(create);
    describeProcesses(create);
    describeModel(create);
  });
}
