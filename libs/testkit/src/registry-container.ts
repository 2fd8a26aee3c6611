import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import type { StartedTestContainer } from "testcontainers";
import { claimPort } from "./port-claim.ts";
import type { PortClaim } from "./port-claim.ts";
import { registryPath, registrySettings, registryVersion } from "./throwaway-registry.ts";
import type { SchemaRegistryOptions, SchemaRegistryServer } from "./throwaway-registry.ts";

const stopMs = 10_000;

/** Apicurio in a container, for machines without Java. The runtime's reaper removes it if this process dies. */
export class ContainerRegistry implements SchemaRegistryServer {
  readonly url: string;
  readonly pid = undefined;
  readonly #container: StartedTestContainer;
  readonly #claim: PortClaim;
  #up = true;

  private constructor(scheme: "http" | "https", container: StartedTestContainer, claim: PortClaim) {
    this.url = `${scheme}://127.0.0.1:${claim.port}${registryPath}`;
    this.#container = container;
    this.#claim = claim;
  }

  static async launch(options: SchemaRegistryOptions, signal?: AbortSignal): Promise<ContainerRegistry> {
    signal?.throwIfAborted();
    // Loaded only here: it is large, and most machines never need it.
    const { GenericContainer, Wait } = await import("testcontainers");
    const claim = await claimPort();
    const { tls } = options;
    const listening =
      tls === undefined
        ? { QUARKUS_HTTP_PORT: "8080" }
        : {
            QUARKUS_HTTP_SSL_PORT: "8080",
            QUARKUS_HTTP_INSECURE_REQUESTS: "disabled",
            QUARKUS_HTTP_SSL_CERTIFICATE_FILES: "/tmp/certificate.pem",
            QUARKUS_HTTP_SSL_CERTIFICATE_KEY_FILES: "/tmp/key.pem",
          };
    try {
      const container = await new GenericContainer(`apicurio/apicurio-registry:${registryVersion}`)
        .withEnvironment({ ...listening, ...registrySettings(options, "/tmp/registry-data") })
        .withCopyContentToContainer(
          tls === undefined
            ? []
            : [
                { content: tls.certificate, target: "/tmp/certificate.pem" },
                { content: tls.key, target: "/tmp/key.pem" },
              ],
        )
        .withExposedPorts({ container: 8080, host: claim.port })
        .withWaitStrategy(Wait.forLogMessage(/Listening on:|Installed features/))
        .start();
      return new ContainerRegistry(tls === undefined ? "http" : "https", container, claim);
    } catch (error) {
      claim[Symbol.dispose]();
      throw error;
    }
  }

  get port(): number {
    return this.#claim.port;
  }

  async log(): Promise<string> {
    const stream: Readable = await this.#container.logs();
    return text(stream);
  }

  async start(signal?: AbortSignal): Promise<void> {
    if (this.#up) throw new Error("the server runs already");
    signal?.throwIfAborted();
    await this.#container.restart();
    this.#up = true;
  }

  async stop(): Promise<void> {
    await this.#halt(stopMs);
  }

  /** A stop without a grace period is a SIGKILL of everything in the container. */
  async kill(): Promise<void> {
    await this.#halt(0);
  }

  async #halt(timeout: number): Promise<void> {
    if (!this.#up) return;
    await this.#container.stop({ remove: false, removeVolumes: false, timeout });
    this.#up = false;
  }

  async freeze(): Promise<void> {
    await (await this.#handle()).pause();
  }

  async thaw(): Promise<void> {
    await (await this.#handle()).unpause();
  }

  async #handle() {
    const { getContainerRuntimeClient } = await import("testcontainers");
    return (await getContainerRuntimeClient()).container.getById(this.#container.getId());
  }

  async restart(signal?: AbortSignal): Promise<void> {
    await this.stop();
    await this.start(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#container.stop({ remove: true, removeVolumes: true, timeout: 0 });
    this.#claim[Symbol.dispose]();
  }
}
