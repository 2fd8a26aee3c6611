import { randomUUID } from "node:crypto";

import type { EventLogHarness } from "@datatrace/testkit";

import { KafkaEventLog, openKafkaEventLog } from "./kafka-event-log.ts";
import type { KafkaEventLogOptions } from "./kafka-options.ts";

/**
 * A log of its own on a cluster that is there, for contract suites: control topics apart, members that are noticed to be
 * dead soon, records that go as soon as they are applied.
 */
export function kafkaHarness(
  brokers: readonly string[],
  options: { readonly maxSizeBytes?: number } = {},
): Promise<EventLogHarness> {
  const parameters: KafkaEventLogOptions = {
    brokers,
    controlPrefix: `test-${randomUUID().slice(0, 8)}`,
    sessionTimeoutMs: 2000,
    retentionIntervalMs: 1000,
    keepAppliedMs: 0,
    ...options,
  };
  return Promise.resolve({
    open: () => openKafkaEventLog(parameters),
    child: {
      module: new URL("./test-child.ts", import.meta.url).href,
      // A request for each batch, so that a process can be killed between them.
      parameters: JSON.stringify({ ...parameters, maxRequestSizeBytes: 1 }),
    },
    reclaim: async (log) => {
      if (!(log instanceof KafkaEventLog)) throw new Error("not Kafka");
      await log.reclaim();
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
}
