import { DataTraceError } from "@datatrace/core";
import { kafkaAvailable, schemaRegistryFound, startKafka, startSchemaRegistry } from "@datatrace/testkit";
import type { Victim } from "./chaos-monkey.ts";

/** Between the two sides of the demo: the event log, and the servers behind it where there are any. */
export interface ShopLog extends AsyncDisposable {
  /** For the first line on the screen. */
  readonly name: string;
  /** Its part of the pipeline file, whose values come from `env`. */
  readonly lines: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** On somebody's own servers: the demo cleans up after itself there, and never kills them. */
  readonly given: boolean;
  readonly victims: readonly Victim[];
}

/** In the folder of the pipeline file, as is usual. */
export const embeddedShopLog: ShopLog = {
  name: "embedded log",
  lines: [],
  env: {},
  given: false,
  victims: [],
  [Symbol.asyncDispose]: async () => {},
};

/**
 * On throwaway servers, or those that `KAFKA_BROKERS` (`host:port`, with commas) and `SCHEMA_REGISTRY_URL` name.
 * @throws DataTraceError `config.usage` when there is neither.
 */
export async function kafkaShopLog(environment: NodeJS.ProcessEnv): Promise<ShopLog> {
  if (!(await kafkaAvailable()) || !(await schemaRegistryFound())) {
    throw new DataTraceError("config.usage", {
      message: "There is no Kafka with a schema registry here, and none can be started.",
      fix: "Install Java 21 and Maven, or set KAFKA_BROKERS and SCHEMA_REGISTRY_URL.",
    });
  }
  const givenBrokers = (environment["KAFKA_BROKERS"] ?? "").split(",").filter((broker) => broker !== "");
  const givenRegistry = environment["SCHEMA_REGISTRY_URL"] ?? "";
  await using stack = new AsyncDisposableStack();
  const [kafka, registry] = await Promise.all([
    givenBrokers.length > 0 ? null : startKafka(),
    givenRegistry === "" ? startSchemaRegistry() : null,
  ]);
  if (kafka !== null) stack.use(kafka);
  if (registry !== null) stack.use(registry);
  const brokers = kafka?.brokers ?? givenBrokers;
  const servers = stack.move();
  return {
    name: `Kafka (${brokers.length === 1 ? "1 broker" : `${brokers.length} brokers`})`,
    lines: [
      "log:",
      "  kafka:",
      `    brokers: [${brokers.map((broker) => JSON.stringify(broker)).join(", ")}]`,
      '    registry: "${DEMO_REGISTRY_URL}"',
    ],
    env: { DEMO_REGISTRY_URL: registry?.url ?? givenRegistry },
    given: kafka === null || registry === null,
    victims: [
      ...(kafka === null
        ? []
        : [
            victim(
              "broker",
              () => kafka.kill(0),
              () => kafka.start(0),
            ),
          ]),
      ...(registry === null
        ? []
        : [
            victim(
              "registry",
              () => registry.kill(),
              () => registry.start(),
            ),
          ]),
    ],
    [Symbol.asyncDispose]: async () => await servers[Symbol.asyncDispose](),
  };
}

function victim(name: string, kill: () => Promise<void>, start: () => Promise<void>): Victim {
  return {
    name,
    crash: async () => {
      await kill();
      await start();
    },
  };
}
