import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import type { StartedTestContainer } from "testcontainers";
import { claimPort } from "./port-claim.ts";
import type { PortClaim } from "./port-claim.ts";
import { createDatabase } from "./postgres-database.ts";
import { postgresUrl } from "./postgres-url.ts";
import { defaultSettings } from "./throwaway-postgres.ts";
import type { PostgresOptions, PostgresServer } from "./throwaway-postgres.ts";

const fastShutdownMs = 10_000;

export async function containerRuntimeFound(): Promise<boolean> {
  try {
    const { getContainerRuntimeClient } = await import("testcontainers");
    await getContainerRuntimeClient();
    return true;
  } catch {
    return false;
  }
}

function commandOf({ durable, settings }: PostgresOptions): string[] {
  const all = {
    ...(durable === true ? {} : { fsync: "off", full_page_writes: "off" }),
    ...defaultSettings,
    ...settings,
  };
  return ["postgres", ...Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`])];
}

function environmentOf(options: PostgresOptions): Record<string, string> {
  const shared = { POSTGRES_INITDB_ARGS: "--encoding=UTF8 --locale=C.UTF-8", TZ: "UTC" };
  return options.password === undefined
    ? { ...shared, POSTGRES_HOST_AUTH_METHOD: "trust" }
    : { ...shared, POSTGRES_PASSWORD: options.password };
}

/** A server in a container, for platforms without npm binaries. The runtime's reaper removes it if this process dies. */
export class ContainerPostgres implements PostgresServer {
  readonly major: PostgresOptions["major"];
  readonly url: string;
  readonly pid = undefined;
  readonly dataDir = undefined;
  readonly #container: StartedTestContainer;
  readonly #claim: PortClaim;
  #up = true;

  private constructor(options: PostgresOptions, container: StartedTestContainer, claim: PortClaim) {
    this.major = options.major;
    this.url = postgresUrl(claim.port, options.password);
    this.#container = container;
    this.#claim = claim;
  }

  static async launch(options: PostgresOptions, signal?: AbortSignal): Promise<ContainerPostgres> {
    if (options.dataDir !== undefined) throw new Error("a server in a container keeps no data folder");
    signal?.throwIfAborted();
    // Loaded only here: it is large, and most machines never need it.
    const { GenericContainer, Wait } = await import("testcontainers");
    const claim = await claimPort();
    try {
      const container = await new GenericContainer(`postgres:${options.major}-alpine`)
        .withEnvironment(environmentOf(options))
        .withCommand(commandOf(options))
        .withExposedPorts({ container: 5432, host: claim.port })
        // Twice: the image starts it once without a port, to initialise it.
        .withWaitStrategy(Wait.forLogMessage(/database system is ready to accept connections/, 2))
        .start();
      return new ContainerPostgres(options, container, claim);
    } catch (error) {
      claim[Symbol.dispose]();
      throw error;
    }
  }

  get port(): number {
    return this.#claim.port;
  }

  async createDatabase(): Promise<string> {
    return createDatabase(this.url);
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
    await this.#halt(fastShutdownMs);
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

  async restart(signal?: AbortSignal): Promise<void> {
    await this.stop();
    await this.start(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#container.stop({ remove: true, removeVolumes: true, timeout: 0 });
    this.#claim[Symbol.dispose]();
  }
}
