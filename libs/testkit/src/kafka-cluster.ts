import { chmod } from "node:fs/promises";
import { KafkaBroker } from "./kafka-broker.ts";
import { ContainerBroker } from "./kafka-container.ts";
import type { KafkaNode } from "./kafka-node.ts";
import { clusterSettings, listenerSettings } from "./kafka-settings.ts";
import type { NodePorts } from "./kafka-settings.ts";
import { localCertificate } from "./local-certificate.ts";
import { claimPort } from "./port-claim.ts";
import type { PortClaim } from "./port-claim.ts";
import { serverUser } from "./server-user.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import type { TemporaryDirectory } from "./temporary-directory.ts";
import type { KafkaOptions, KafkaServer } from "./throwaway-kafka.ts";

const login = { username: "datatrace", password: "kafka-for-tests" };

/** Brokers with one another: processes from Maven's artifacts, or containers. */
export class KafkaCluster implements KafkaServer {
  readonly brokers: readonly string[];
  readonly ca: string | undefined;
  readonly login: KafkaServer["login"];
  readonly #nodes: readonly KafkaNode[];
  readonly #claims: readonly PortClaim[];
  readonly #home: TemporaryDirectory;

  private constructor(
    options: KafkaOptions,
    home: TemporaryDirectory,
    claims: readonly PortClaim[],
    ports: readonly NodePorts[],
    nodes: readonly KafkaNode[],
  ) {
    this.brokers = ports.map(({ advertised }) => `127.0.0.1:${advertised}`);
    this.ca = options.security?.ssl === true ? localCertificate.certificate : undefined;
    this.login = options.security?.sasl === true ? login : undefined;
    this.#home = home;
    this.#claims = claims;
    this.#nodes = nodes;
  }

  static async launch(
    origin: "maven" | "container",
    options: KafkaOptions,
    signal?: AbortSignal,
  ): Promise<KafkaCluster> {
    for (let attempt = 1; ; attempt += 1) {
      const server = await KafkaCluster.#prepare(origin, options);
      try {
        await Promise.all(server.#nodes.map((node) => node.start(signal)));
        return server;
      } catch (error) {
        const logs = await Promise.all(server.#nodes.map((node) => node.log()));
        await server[Symbol.asyncDispose]();
        // Somebody who knows nothing of claims may take a port between the claim and the bind.
        if (attempt === 3 || !logs.some((log) => /Address already in use/.test(log))) throw error;
      }
    }
  }

  static async #prepare(origin: "maven" | "container", options: KafkaOptions): Promise<KafkaCluster> {
    const user = serverUser();
    const count = options.brokers ?? 1;
    const claims = await Promise.all(Array.from({ length: 3 * count }, () => claimPort()));
    const own = Array.from({ length: count }, (_, index) => {
      const [client = 0, internal = 0, controller = 0] = claims.slice(3 * index).map(({ port }) => port);
      return { client, internal, controller };
    });
    const clients = own.map(({ client }) => client);
    const advertised = (await options.advertise?.(clients)) ?? clients;
    const ports = own.map((node, index): NodePorts => ({ ...node, advertised: advertised[index] ?? node.client }));
    const home = await temporaryDirectory("kafka", user);
    await chmod(home.path, 0o755);
    const credential = `[name=${login.username},password=${login.password}]`;
    const scram = options.security?.sasl === true ? [`SCRAM-SHA-256=${credential}`, `SCRAM-SHA-512=${credential}`] : [];
    const nodes = await Promise.all(
      ports.map(async (_, index) => {
        const settings = {
          ...clusterSettings(index, ports),
          ...listenerSettings(index, ports, options.security ?? {}, login),
          ...options.settings,
        };
        const node = { index, count, settings, scram, heapMiB: count === 1 ? 512 : 384 };
        return origin === "maven" ? await KafkaBroker.prepare(node, home.path, user) : new ContainerBroker(node);
      }),
    );
    return new KafkaCluster(options, home, claims, ports, nodes);
  }

  pid(broker: number): number | undefined {
    return this.#node(broker).pid;
  }

  log(broker: number): Promise<string> {
    return this.#node(broker).log();
  }

  start(broker: number, signal?: AbortSignal): Promise<void> {
    return this.#node(broker).start(signal);
  }

  stop(broker: number): Promise<void> {
    return this.#node(broker).stop();
  }

  kill(broker: number): Promise<void> {
    return this.#node(broker).kill();
  }

  freeze(broker: number): Promise<void> {
    return this.#node(broker).freeze();
  }

  wake(broker: number): Promise<void> {
    return this.#node(broker).wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nobody needs what it would write at the end.
    await Promise.all(this.#nodes.map((node) => node.kill()));
    await Promise.all(this.#nodes.map((node) => node.remove()));
    await this.#home[Symbol.asyncDispose]();
    for (const claim of this.#claims) claim[Symbol.dispose]();
  }

  #node(broker: number): KafkaNode {
    const node = this.#nodes[broker];
    if (node === undefined) throw new Error(`there is no broker ${broker}`);
    return node;
  }
}
