import { kafkaFound } from "./kafka-binaries.ts";
import { NativeKafka } from "./kafka-native.ts";
import type { KafkaOptions, KafkaServer } from "./throwaway-kafka.ts";

/** Where a throwaway Kafka can come from here, or undefined. */
export function kafkaOrigin(): "maven" | undefined {
  return kafkaFound() ? "maven" : undefined;
}

/**
 * Starts a throwaway Kafka from Maven's artifacts.
 * @throws Error when there is no Java or no Maven, or with the end of a broker's log when it does not start.
 */
export async function startKafka(options: KafkaOptions = {}, signal?: AbortSignal): Promise<KafkaServer> {
  if (kafkaOrigin() === undefined) throw new Error("no Kafka here: it takes Java 17 or newer and Maven");
  return await NativeKafka.launch(options, signal);
}
