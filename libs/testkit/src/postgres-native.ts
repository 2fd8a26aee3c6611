import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { claimPort } from "./port-claim.ts";
import type { PortClaim } from "./port-claim.ts";
import { installPostgres, makeDataFolder, postgresPackage, serverEnvironment } from "./postgres-binaries.ts";
import type { PostgresInstallation } from "./postgres-binaries.ts";
import { createDatabase } from "./postgres-database.ts";
import { postgresUrl } from "./postgres-url.ts";
import { childrenOf, isAlive, signalProcess } from "./process-tree.ts";
import { runCommand } from "./run-command.ts";
import { serverUser } from "./server-user.ts";
import type { ServerUser } from "./server-user.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { defaultSettings } from "./throwaway-postgres.ts";
import type { PostgresOptions, PostgresServer } from "./throwaway-postgres.ts";
import { waitFor } from "./wait-for.ts";
import { guard } from "./watchdog.ts";

const startDeadlineMs = 60_000;
const fastShutdownMs = 10_000;

/** No line for a local socket: there is none. */
function accessRules(method: string): string {
  return `host all all 127.0.0.1/32 ${method}\nhost replication all 127.0.0.1/32 ${method}\n`;
}

/** Copies the template and applies what differs from it. Everything is done by the server's own user. */
async function prepareData(
  data: string,
  installation: PostgresInstallation,
  user: ServerUser,
  password: string | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (existsSync(join(data, "PG_VERSION"))) return;
  const asServer = { ...user, cwd: "/", env: serverEnvironment };
  await runCommand("cp", ["-pR", `${installation.template}/.`, data], asServer, signal);
  if (password !== undefined) {
    const text = password.replaceAll("'", "''");
    await runCommand(
      join(installation.bin, "postgres"),
      ["--single", "-D", data, "-c", "fsync=off", "-c", "standard_conforming_strings=on", "postgres"],
      { ...asServer, input: `ALTER ROLE postgres PASSWORD '${text}'\n` },
      signal,
    );
  }
  await writeFile(join(data, "pg_hba.conf"), accessRules(password === undefined ? "trust" : "scram-sha-256"));
}

/** A server from the npm binaries, as a child of this process. */
export class NativePostgres implements PostgresServer {
  readonly major: PostgresOptions["major"];
  readonly dataDir: string;
  readonly #options: PostgresOptions;
  readonly #installation: PostgresInstallation;
  readonly #user: ServerUser;
  readonly #home: AsyncDisposable & { readonly path: string };
  #claim: PortClaim;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  private constructor(
    options: PostgresOptions,
    installation: PostgresInstallation,
    user: ServerUser,
    home: AsyncDisposable & { readonly path: string },
    claim: PortClaim,
  ) {
    this.major = options.major;
    this.#options = options;
    this.#installation = installation;
    this.#user = user;
    this.#home = home;
    this.#claim = claim;
    this.dataDir = options.dataDir ?? join(home.path, "data");
  }

  static async launch(options: PostgresOptions, signal?: AbortSignal): Promise<NativePostgres> {
    const source = postgresPackage(options.major);
    if (source === undefined) throw new Error(`no npm package of PostgreSQL ${options.major} for this platform`);
    const user = serverUser();
    const installation = await installPostgres(options.major, source, user);
    const home = await temporaryDirectory(`postgres-${options.major}`, user);
    const server = new NativePostgres(options, installation, user, home, await claimPort());
    try {
      await makeDataFolder(server.dataDir, user);
      await prepareData(server.dataDir, installation, user, options.password, signal);
      await server.#startOnFreePort(signal);
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  get port(): number {
    return this.#claim.port;
  }

  get url(): string {
    return postgresUrl(this.port, this.#options.password);
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async createDatabase(): Promise<string> {
    return createDatabase(this.url);
  }

  async log(): Promise<string> {
    return readFile(this.#logFile, "utf8").catch(() => "");
  }

  get #logFile(): string {
    return join(this.#home.path, "log");
  }

  /** Somebody who knows nothing of claims may take the port between the claim and the bind. */
  async #startOnFreePort(signal: AbortSignal | undefined): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.start(signal);
        return;
      } catch (error) {
        if (attempt === 5 || !/could not bind|Address already in use/.test(await this.log())) throw error;
        await rm(this.#logFile, { force: true });
        this.#claim[Symbol.dispose]();
        this.#claim = await claimPort();
      }
    }
  }

  async start(signal?: AbortSignal): Promise<void> {
    if (this.#child !== undefined) throw new Error("the server runs already");
    const settings = {
      listen_addresses: "127.0.0.1",
      unix_socket_directories: "",
      port: String(this.port),
      ...(this.#options.durable === true ? {} : { fsync: "off", full_page_writes: "off" }),
      ...defaultSettings,
      ...this.#options.settings,
    };
    // A status left by a server that was killed would look like this one's.
    const status = join(this.dataDir, "postmaster.pid");
    await using log = await open(this.#logFile, "a");
    const child = spawn(
      join(this.#installation.bin, "postgres"),
      ["-D", this.dataDir, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])],
      { ...this.#user, cwd: "/", env: serverEnvironment, stdio: ["ignore", log.fd, log.fd], detached: true },
    );
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const release = child.pid === undefined ? undefined : guard({ kind: "server", pid: child.pid });
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
        async () => {
          if (this.#child !== child) throw new Error("it ended", { cause: failure });
          // Line 1 is the postmaster's pid, line 8 its status.
          const lines = (await readFile(status, "utf8").catch(() => "")).split("\n");
          return lines[0]?.trim() === String(child.pid) && lines[7]?.trim() === "ready";
        },
        { deadlineMs: startDeadlineMs, what: "PostgreSQL to be ready" },
        signal,
      );
    } catch (error) {
      await this.kill();
      if (signal?.aborted === true) throw error;
      const end = (await this.log()).slice(-2000);
      throw new Error(`PostgreSQL ${this.major} did not start:\n${end}`, { cause: error });
    }
  }

  async stop(signal?: AbortSignal): Promise<void> {
    const pid = this.pid;
    if (pid === undefined) return;
    signalProcess(pid, "SIGINT");
    // One that a test has frozen hears nothing before it goes on.
    signalProcess(pid, "SIGCONT");
    const late = setTimeout(() => {
      // A fast shutdown waits for its walsenders' clients, which may never read on.
      signalProcess(pid, "SIGQUIT");
    }, fastShutdownMs);
    try {
      await this.#ended;
    } finally {
      clearTimeout(late);
    }
    signal?.throwIfAborted();
  }

  async kill(): Promise<void> {
    const pid = this.pid;
    if (pid === undefined) return;
    // Frozen first, so that it cannot make a child between our look and its end.
    signalProcess(pid, "SIGSTOP");
    const children = childrenOf(pid);
    for (const victim of [pid, ...children]) signalProcess(victim, "SIGKILL");
    await this.#ended;
    await waitFor(() => !children.some((child) => isAlive(child)), {
      deadlineMs: startDeadlineMs,
      what: "the children of a killed PostgreSQL to be gone",
    });
  }

  async restart(signal?: AbortSignal): Promise<void> {
    await this.stop(signal);
    await this.start(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#releaseSharedMemory();
    await this.#home[Symbol.asyncDispose]();
    this.#claim[Symbol.dispose]();
  }

  /** A killed postmaster leaves its System V segment behind: line 7 of its pid file is `key id`. macOS has 32 in all. */
  async #releaseSharedMemory(): Promise<void> {
    const lines = (await readFile(join(this.dataDir, "postmaster.pid"), "utf8").catch(() => "")).split("\n");
    const id = lines[6]?.trim().split(/\s+/)[1];
    if (id !== undefined) await runCommand("ipcrm", ["-m", id]).catch(() => undefined);
  }
}
