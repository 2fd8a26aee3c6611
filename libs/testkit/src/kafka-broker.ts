import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { open, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { KafkaInstallation } from "./kafka-binaries.ts";
import { serverEnvironment } from "./postgres-binaries.ts";
import { signalProcess } from "./process-tree.ts";
import { runCommand } from "./run-command.ts";
import type { ServerUser } from "./server-user.ts";
import { waitFor } from "./wait-for.ts";
import { guard } from "./watchdog.ts";

const startDeadlineMs = 90_000;
const stopDeadlineMs = 20_000;

export interface KafkaBrokerOptions {
  readonly installation: KafkaInstallation;
  readonly user: ServerUser;
  /** The cluster's folder. */
  readonly home: string;
  readonly index: number;
  /** A formatted storage folder to copy. */
  readonly template: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly heapMiB: number;
}

/** One broker of a cluster, as a child of this process. */
export class KafkaBroker {
  readonly #options: KafkaBrokerOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  private constructor(options: KafkaBrokerOptions) {
    this.#options = options;
  }

  static async prepare(options: KafkaBrokerOptions): Promise<KafkaBroker> {
    const broker = new KafkaBroker(options);
    const { user } = options;
    const owner = ["-o", String(user.uid), "-g", String(user.gid)];
    await runCommand("install", ["-d", "-m", "700", ...owner, broker.#data]);
    await runCommand("sh", [
      "-c",
      'install -m 600 "$@"',
      "sh",
      ...owner,
      ...(await templateFiles(options.template)),
      broker.#data,
    ]);
    const settings = { ...options.settings, "log.dirs": broker.#data };
    await writeFile(
      broker.#path("properties"),
      Object.entries(settings)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(""),
    );
    return broker;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  log(): Promise<string> {
    return readFile(this.#path("log"), "utf8").catch(() => "");
  }

  async start(signal?: AbortSignal): Promise<void> {
    if (this.#child !== undefined) throw new Error("the broker runs already");
    const { installation, user, heapMiB } = this.#options;
    await using log = await open(this.#path("log"), "w");
    const child = spawn(
      installation.java,
      [
        "-Xms128m",
        `-Xmx${heapMiB}m`,
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        `-Dlog4j2.configurationFile=${installation.logSettings}`,
        "-cp",
        installation.classPath,
        "kafka.Kafka",
        this.#path("properties"),
      ],
      { ...user, cwd: "/", env: serverEnvironment, stdio: ["ignore", log.fd, log.fd], detached: true },
    );
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const release = child.pid === undefined ? undefined : guard({ kind: "process", pid: child.pid });
    const over = (): void => {
      if (this.#child === child) this.#child = undefined;
      release?.();
      resolve();
    };
    child.once("error", over);
    child.once("exit", over);
    this.#child = child;
    this.#ended = ended;
    try {
      await waitFor(
        async () => {
          if (this.#child !== child) throw new Error("it ended");
          return (await this.log()).includes("Kafka Server started");
        },
        { deadlineMs: startDeadlineMs, what: "Kafka to be ready", intervalMs: 50 },
        signal,
      );
    } catch (error) {
      await this.kill();
      if (signal?.aborted === true) throw error;
      throw new Error(`Kafka did not start:\n${(await this.log()).slice(-3000)}`, { cause: error });
    }
  }

  async stop(): Promise<void> {
    this.signal("SIGTERM");
    this.signal("SIGCONT");
    const late = setTimeout(() => this.signal("SIGKILL"), stopDeadlineMs);
    try {
      await this.#ended;
    } finally {
      clearTimeout(late);
    }
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.#ended;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.pid !== undefined) signalProcess(this.pid, signal);
  }

  get #data(): string {
    return this.#path("data");
  }

  #path(what: string): string {
    return join(this.#options.home, `broker-${this.#options.index}.${what}`);
  }
}

async function templateFiles(template: string): Promise<readonly string[]> {
  return (await readdir(template)).map((name) => join(template, name));
}
