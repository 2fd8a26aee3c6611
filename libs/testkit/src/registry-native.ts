import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, open, readFile, rm, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { get as getSecure } from "node:https";
import { join } from "node:path";
import { cacheDirectory } from "./cache-directory.ts";
import { makeOnce } from "./cached-folder.ts";
import { findJava } from "./java-runtime.ts";
import type { JavaRuntime } from "./java-runtime.ts";
import { copyArtifact } from "./maven-artifact.ts";
import { claimPort } from "./port-claim.ts";
import type { PortClaim } from "./port-claim.ts";
import { isStopped, signalProcess } from "./process-tree.ts";
import { runCommand } from "./run-command.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import type { TemporaryDirectory } from "./temporary-directory.ts";
import { registryPath, registrySettings, registryVersion } from "./throwaway-registry.ts";
import type { SchemaRegistryOptions, SchemaRegistryServer } from "./throwaway-registry.ts";
import { waitFor } from "./wait-for.ts";
import { guard } from "./watchdog.ts";

const startDeadlineMs = 90_000;
const stopMs = 10_000;
const programs = (): string => join(cacheDirectory(), `apicurio-registry-${registryVersion}`);

/** Apicurio 3 is compiled for this release. */
export const registryJava = 21;

/** True when the programs are in the cache, so that Maven is not needed. */
export function registryInstalled(): boolean {
  return existsSync(programs());
}

/** Fetches and unpacks the registry into the cache, once; about 160 MB. Safe between processes. */
export async function installRegistry(signal?: AbortSignal): Promise<void> {
  await makeOnce(programs(), async (folder) => {
    await copyArtifact(`io.apicurio:apicurio-registry-app:${registryVersion}:tar.gz:all`, folder, signal);
    const archive = join(folder, `apicurio-registry-app-${registryVersion}-all.tar.gz`);
    await runCommand("tar", ["xzf", archive, "-C", folder], {}, signal);
    await rm(archive);
  });
}

async function answers(url: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  // Only whether it is up is asked here, of our own child: whoever it says it is.
  const request = url.startsWith("https:")
    ? getSecure(url, { agent: false, timeout: 2000, rejectUnauthorized: false })
    : get(url, { agent: false, timeout: 2000 });
  request
    .on("response", (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    })
    .on("timeout", () => request.destroy())
    .on("error", () => {
      resolve(false);
    })
    .on("close", () => {
      resolve(false);
    });
  return promise;
}

/** Apicurio on a Java of this machine, as a child of this process. */
export class NativeRegistry implements SchemaRegistryServer {
  readonly #options: SchemaRegistryOptions;
  readonly #java: JavaRuntime;
  readonly #home: TemporaryDirectory;
  #ports: { readonly service: PortClaim; readonly management: PortClaim };
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  private constructor(
    options: SchemaRegistryOptions,
    java: JavaRuntime,
    home: TemporaryDirectory,
    ports: { readonly service: PortClaim; readonly management: PortClaim },
  ) {
    this.#options = options;
    this.#java = java;
    this.#home = home;
    this.#ports = ports;
  }

  static async launch(options: SchemaRegistryOptions, signal?: AbortSignal): Promise<NativeRegistry> {
    const java = findJava(registryJava);
    if (java === undefined) throw new Error(`no Java ${registryJava} or newer`);
    await installRegistry(signal);
    const home = await temporaryDirectory("registry");
    const ports = { service: await claimPort(), management: await claimPort() };
    const server = new NativeRegistry(options, java, home, ports);
    try {
      // What the virtual machine puts aside goes away with the rest.
      await mkdir(join(home.path, "tmp"));
      if (options.tls !== undefined) {
        await writeFile(join(home.path, "certificate.pem"), options.tls.certificate);
        await writeFile(join(home.path, "key.pem"), options.tls.key, { mode: 0o600 });
      }
      await server.#startOnFreePort(signal);
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  get port(): number {
    return this.#ports.service.port;
  }

  get url(): string {
    return `${this.#options.tls === undefined ? "http" : "https"}://127.0.0.1:${this.port}${registryPath}`;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async log(): Promise<string> {
    return readFile(this.#logFile, "utf8").catch(() => "");
  }

  get #logFile(): string {
    return join(this.#home.path, "log");
  }

  /** Somebody who knows nothing of claims may take a port between the claim and the bind. */
  async #startOnFreePort(signal: AbortSignal | undefined): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.start(signal);
        return;
      } catch (error) {
        if (attempt === 5 || !/already in use|seems to be in use/i.test(await this.log())) throw error;
        await rm(this.#logFile, { force: true });
        this.#release();
        this.#ports = { service: await claimPort(), management: await claimPort() };
      }
    }
  }

  #release(): void {
    this.#ports.service[Symbol.dispose]();
    this.#ports.management[Symbol.dispose]();
  }

  #environment(): Record<string, string> {
    const { path } = this.#home;
    const port = String(this.port);
    const listening =
      this.#options.tls === undefined
        ? { QUARKUS_HTTP_PORT: port }
        : {
            QUARKUS_HTTP_SSL_PORT: port,
            QUARKUS_HTTP_INSECURE_REQUESTS: "disabled",
            QUARKUS_HTTP_SSL_CERTIFICATE_FILES: join(path, "certificate.pem"),
            QUARKUS_HTTP_SSL_CERTIFICATE_KEY_FILES: join(path, "key.pem"),
          };
    return {
      PATH: process.env["PATH"] ?? "",
      LC_ALL: "C.UTF-8",
      TZ: "UTC",
      QUARKUS_HTTP_HOST: "127.0.0.1",
      QUARKUS_MANAGEMENT_HOST: "127.0.0.1",
      QUARKUS_MANAGEMENT_PORT: String(this.#ports.management.port),
      ...listening,
      ...registrySettings(this.#options, join(path, "data")),
    };
  }

  async start(signal?: AbortSignal): Promise<void> {
    if (this.#child !== undefined) throw new Error("the server runs already");
    signal?.throwIfAborted();
    await using log = await open(this.#logFile, "a");
    const flags = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"];
    const child = spawn(
      this.#java.program,
      [
        ...flags,
        `-Djava.io.tmpdir=${join(this.#home.path, "tmp")}`,
        "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
        "-jar",
        join(programs(), "quarkus-run.jar"),
      ],
      { cwd: this.#home.path, env: this.#environment(), stdio: ["ignore", log.fd, log.fd], detached: true },
    );
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    // Not as a `server`: what ends PostgreSQL makes a Java print its threads.
    const release = child.pid === undefined ? undefined : guard({ kind: "process", pid: child.pid });
    let failure: Error | undefined;
    const over = (error?: Error): void => {
      failure = error;
      this.#child = undefined;
      release?.();
      resolve();
    };
    child.once("error", over);
    child.once("exit", () => {
      over();
    });
    this.#child = child;
    this.#ended = ended;
    try {
      await waitFor(
        () => {
          if (this.#child !== child) throw new Error("it ended", { cause: failure });
          return answers(`${this.url}/subjects`);
        },
        { deadlineMs: startDeadlineMs, what: "the schema registry to be ready", intervalMs: 50 },
        signal,
      );
    } catch (error) {
      await this.kill();
      if (signal?.aborted === true) throw error;
      throw new Error(`the schema registry did not start:\n${(await this.log()).slice(-2000)}`, { cause: error });
    }
  }

  async stop(): Promise<void> {
    const pid = this.pid;
    if (pid === undefined) return;
    signalProcess(pid, "SIGTERM");
    // One that is frozen hears nothing before it goes on.
    signalProcess(pid, "SIGCONT");
    const late = setTimeout(() => {
      signalProcess(pid, "SIGKILL");
    }, stopMs);
    try {
      await this.#ended;
    } finally {
      clearTimeout(late);
    }
  }

  async kill(): Promise<void> {
    const pid = this.pid;
    if (pid === undefined) return;
    signalProcess(pid, "SIGKILL");
    await this.#ended;
  }

  async freeze(): Promise<void> {
    const { pid } = this;
    if (pid === undefined) throw new Error("the server is down");
    signalProcess(pid, "SIGSTOP");
    // A process of many threads stops a moment after the signal.
    await waitFor(() => isStopped(pid), { deadlineMs: stopMs, what: "the schema registry to be frozen" });
  }

  thaw(): Promise<void> {
    if (this.pid !== undefined) signalProcess(this.pid, "SIGCONT");
    return Promise.resolve();
  }

  async restart(signal?: AbortSignal): Promise<void> {
    await this.stop();
    await this.start(signal);
  }

  /** Nothing of it is kept, so it is not asked to end in order. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#home[Symbol.asyncDispose]();
    this.#release();
  }
}
