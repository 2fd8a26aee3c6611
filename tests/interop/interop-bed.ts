import { randomUUID } from "node:crypto";
import { RemoteSchemaRegistry } from "@datatrace/avro";
import { Secret } from "@datatrace/core";
import { type KafkaEventLog, openKafkaEventLog } from "@datatrace/event-log-kafka";
import { testKafka, type TestKafka, testSchemaRegistry, type TestSchemaRegistry } from "@datatrace/testkit";
import { Kafka, logLevel } from "kafkajs";

/** A real broker and a real registry, our log on them, and a plain client beside it. */
export class InteropBed implements AsyncDisposable {
  readonly log: KafkaEventLog;
  readonly registry: RemoteSchemaRegistry;
  /** What other people's programs use. */
  readonly client: Kafka;
  /** Topics stay on a server that was given: names begin with this, which nobody has used. */
  readonly prefix = `interop${randomUUID().slice(0, 8)}`;
  readonly #kafka: TestKafka;
  readonly #registryServer: TestSchemaRegistry;

  private constructor(kafka: TestKafka, registryServer: TestSchemaRegistry, log: KafkaEventLog) {
    this.#kafka = kafka;
    this.#registryServer = registryServer;
    this.log = log;
    this.registry = new RemoteSchemaRegistry({ url: new Secret(registryServer.url) });
    this.client = new Kafka({ brokers: [...kafka.brokers], logLevel: logLevel.NOTHING });
  }

  static async open(): Promise<InteropBed> {
    const [kafka, registry] = await Promise.all([testKafka(), testSchemaRegistry()]);
    return new InteropBed(kafka, registry, await openKafkaEventLog({ brokers: kafka.brokers }));
  }

  get brokers(): string {
    return this.#kafka.brokers.join(",");
  }

  get registryUrl(): string {
    return this.#registryServer.url;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.log[Symbol.asyncDispose]();
    await this.registry[Symbol.asyncDispose]();
    await Promise.all([this.#kafka[Symbol.asyncDispose](), this.#registryServer[Symbol.asyncDispose]()]);
  }
}
