import { kafkaOrigin, startKafka } from "./kafka-server.ts";

/** A Kafka to make topics on; perhaps somebody's own, so it is never stopped under him. */
export interface TestKafka extends AsyncDisposable {
  readonly brokers: readonly string[];
}

function givenBrokers(): readonly string[] | undefined {
  const brokers = (process.env["KAFKA_BROKERS"] ?? "").split(",").filter((broker) => broker !== "");
  return brokers.length === 0 ? undefined : brokers;
}

/**
 * The Kafka for tests that only need topics: at `KAFKA_BROKERS` (host:port, with commas) where it is set, else a
 * throwaway one. Tests that stop or kill brokers call `startKafka`.
 */
export async function testKafka(signal?: AbortSignal): Promise<TestKafka> {
  const brokers = givenBrokers();
  return brokers === undefined
    ? await startKafka({}, signal)
    : { brokers, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** Whether tests can run against Kafka here. */
export async function kafkaAvailable(): Promise<boolean> {
  return givenBrokers() !== undefined || (await kafkaOrigin()) !== undefined;
}
