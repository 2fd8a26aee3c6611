import { createEventDecoder, RemoteSchemaRegistry } from "@datatrace/avro";
import type { DecodedEvent } from "@datatrace/avro";
import { Secret } from "@datatrace/core";
import { openKafkaEventLog } from "@datatrace/event-log-kafka";
import type { KafkaEventLogOptions } from "@datatrace/event-log-kafka";
import { startKafka, startSchemaRegistry } from "@datatrace/testkit";
import type { KafkaServer, SchemaRegistryServer } from "@datatrace/testkit";
import { Kafka, logLevel } from "kafkajs";

/** A broker that demands a login, and a registry, for tests that stop and kill them. */
export class KafkaBed implements AsyncDisposable {
  readonly kafka: KafkaServer;
  readonly registry: SchemaRegistryServer;

  private constructor(kafka: KafkaServer, registry: SchemaRegistryServer) {
    this.kafka = kafka;
    this.registry = registry;
  }

  static async start(): Promise<KafkaBed> {
    const [kafka, registry] = await Promise.all([startKafka({ security: { sasl: true } }), startSchemaRegistry()]);
    return new KafkaBed(kafka, registry);
  }

  get password(): string {
    return this.kafka.login?.password ?? "";
  }

  /** The lines of a pipeline file; the password comes from `KAFKA_PASSWORD`. */
  logLines(
    changed: { readonly broker?: string | undefined; readonly registry?: string | undefined } = {},
  ): readonly string[] {
    const [broker = ""] = this.kafka.brokers;
    return [
      "log:",
      "  kafka:",
      `    brokers: ["${changed.broker ?? broker}"]`,
      `    sasl: { mechanism: scram-sha-256, username: ${this.kafka.login?.username}, password: "\${KAFKA_PASSWORD}" }`,
      `    registry: "${changed.registry ?? this.registry.url}"`,
    ];
  }

  /** The same for a service that has no file. */
  variables(): Readonly<Record<string, string>> {
    return {
      DATATRACE_KAFKA_BROKERS: this.kafka.brokers.join(","),
      DATATRACE_KAFKA_SASL_MECHANISM: "scram-sha-256",
      DATATRACE_KAFKA_SASL_USERNAME: this.kafka.login?.username ?? "",
      DATATRACE_KAFKA_SASL_PASSWORD: this.password,
      DATATRACE_KAFKA_REGISTRY_URL: this.registry.url,
    };
  }

  options(): KafkaEventLogOptions {
    const username = this.kafka.login?.username ?? "";
    return {
      brokers: this.kafka.brokers,
      sasl: { mechanism: "scram-sha-256", username, password: new Secret(this.password) },
    };
  }

  /** Every event of a topic, decoded, in the order of its partitions. */
  async events(topic: string): Promise<readonly DecodedEvent[]> {
    return (await this.records(topic)).map(({ event }) => event);
  }

  /** The same, with where each is. */
  async records(
    topic: string,
  ): Promise<readonly { readonly event: DecodedEvent; readonly partition: number; readonly offset: bigint }[]> {
    await using log = await openKafkaEventLog(this.options());
    await using registry = new RemoteSchemaRegistry({ url: new Secret(this.registry.url) });
    const decoder = createEventDecoder(registry);
    const found: { event: DecodedEvent; partition: number; offset: bigint }[] = [];
    const partitions = (await log.topic(topic))?.partitions ?? 0;
    for (let partition = 0; partition < partitions; partition++) {
      const place = { topic, partition };
      const { earliest, end } = await log.bounds(place);
      for (let at = earliest; at < end;) {
        const { records, next } = await log.read(place, at);
        for (const record of records) {
          found.push({ event: await decoder.decode(record, place), partition, offset: record.offset });
        }
        at = next;
      }
    }
    return found;
  }

  /** What Kafka itself still knows of a pipeline: topics and groups whose names hold its name. */
  async traces(pipeline: string): Promise<readonly string[]> {
    const { username = "", password = "" } = this.kafka.login ?? {};
    const admin = new Kafka({
      brokers: [...this.kafka.brokers],
      sasl: { mechanism: "scram-sha-256", username, password },
      logLevel: logLevel.NOTHING,
    }).admin();
    await admin.connect();
    try {
      const topics = await admin.listTopics();
      const { groups } = await admin.listGroups();
      return [...topics, ...groups.map(({ groupId }) => groupId)].filter((name) => name.includes(pipeline));
    } finally {
      await admin.disconnect();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.kafka[Symbol.asyncDispose](), this.registry[Symbol.asyncDispose]()]);
  }
}
