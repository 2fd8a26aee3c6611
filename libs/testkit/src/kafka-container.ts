import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import type { StartedTestContainer } from "testcontainers";
import { clusterId, kafkaVersion } from "./kafka-binaries.ts";
import { propertiesOf } from "./kafka-node.ts";
import type { KafkaNode, KafkaNodeOptions } from "./kafka-node.ts";

const stopMs = 20_000;
const properties = "/tmp/broker.properties";

/**
 * A broker in a container, for machines without Java or Maven. It has the host's network, so that addresses are those
 * of a broker of this machine. The runtime's reaper removes it if this process dies.
 */
export class ContainerBroker implements KafkaNode {
  readonly pid = undefined;
  readonly #options: KafkaNodeOptions;
  #container: StartedTestContainer | undefined;
  #up = false;

  constructor(options: KafkaNodeOptions) {
    this.#options = options;
  }

  async log(): Promise<string> {
    if (this.#container === undefined) return "";
    const stream: Readable = await this.#container.logs();
    return text(stream);
  }

  async start(signal?: AbortSignal): Promise<void> {
    if (this.#up) throw new Error("the broker runs already");
    signal?.throwIfAborted();
    if (this.#container === undefined) this.#container = await this.#make();
    else await this.#container.restart();
    this.#up = true;
  }

  async stop(): Promise<void> {
    await this.#halt(stopMs);
  }

  /** A stop without a grace period is a SIGKILL. */
  async kill(): Promise<void> {
    await this.#halt(0);
  }

  async freeze(): Promise<void> {
    await (await this.#handle()).pause();
  }

  async wake(): Promise<void> {
    await (await this.#handle()).unpause();
  }

  async remove(): Promise<void> {
    await this.#container?.stop({ remove: true, removeVolumes: true, timeout: 0 });
  }

  async #make(): Promise<StartedTestContainer> {
    // Loaded only here: it is large, and most machines never need it.
    const { GenericContainer, Wait } = await import("testcontainers");
    const { settings, scram, heapMiB } = this.#options;
    const scripts = "/opt/kafka/bin";
    const credentials = scram.map((credential) => `--add-scram '${credential}'`).join(" ");
    // Formatted once: a restart finds its data.
    const format = `${scripts}/kafka-storage.sh format --ignore-formatted -t ${clusterId} -c ${properties} ${credentials}`;
    return await new GenericContainer(`apache/kafka:${kafkaVersion}`)
      .withNetworkMode("host")
      .withEnvironment({ KAFKA_HEAP_OPTS: `-Xms128m -Xmx${heapMiB}m` })
      .withCopyContentToContainer([
        { content: propertiesOf({ ...settings, "log.dirs": "/tmp/kafka-data" }), target: properties, mode: 0o644 },
      ])
      .withEntrypoint(["sh", "-c"])
      .withCommand([`${format} && exec ${scripts}/kafka-server-start.sh ${properties}`])
      .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
      .start();
  }

  async #halt(timeout: number): Promise<void> {
    if (!this.#up) return;
    await this.#container?.stop({ remove: false, removeVolumes: false, timeout });
    this.#up = false;
  }

  async #handle(): Promise<{ pause(): Promise<unknown>; unpause(): Promise<unknown> }> {
    if (this.#container === undefined) throw new Error("the broker does not run");
    const { getContainerRuntimeClient } = await import("testcontainers");
    return (await getContainerRuntimeClient()).container.getById(this.#container.getId());
  }
}
