import { kafkaFound } from "./kafka-binaries.ts";
import { KafkaCluster } from "./kafka-cluster.ts";
import { containerRuntimeFound } from "./postgres-container.ts";
import type { KafkaOptions, KafkaServer } from "./throwaway-kafka.ts";

/** Where a throwaway Kafka can come from here, or undefined. */
export async function kafkaOrigin(): Promise<"maven" | "container" | undefined> {
  if (kafkaFound()) return "maven";
  return (await containerRuntimeFound()) ? "container" : undefined;
}

/**
 * Starts a throwaway Kafka, from Maven's artifacts where there are Java and Maven, else in containers.
 * @throws Error when neither is to be had, or with the end of a broker's log when it does not start.
 */
export async function startKafka(options: KafkaOptions = {}, signal?: AbortSignal): Promise<KafkaServer> {
  const origin = await kafkaOrigin();
  if (origin === undefined) throw new Error("no Kafka here: no Java 17 with Maven, and no container runtime");
  return await KafkaCluster.launch(origin, options, signal);
}
