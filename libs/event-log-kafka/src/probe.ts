import { Cluster } from "./cluster.ts";
import { settingsOf } from "./kafka-options.ts";
import type { KafkaEventLogOptions } from "./kafka-options.ts";

/**
 * Asks a cluster how many brokers it has, logged in as the log would be. Makes nothing.
 * @throws DataTraceError `log.connection_lost`, `log.login_failed`, `log.grant_missing`.
 */
export async function probeKafka(
  options: KafkaEventLogOptions,
  signal?: AbortSignal,
): Promise<{ readonly brokers: number }> {
  await using cluster = new Cluster(settingsOf(options));
  await cluster.persist(() => cluster.refresh(null), signal);
  return { brokers: cluster.metadata.brokerCount };
}
