import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { open, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatKafka, installKafka } from "./kafka-binaries.ts";
import type { KafkaInstallation } from "./kafka-binaries.ts";
import { propertiesOf } from "./kafka-node.ts";
import type { KafkaNode, KafkaNodeOptions } from "./kafka-node.ts";
import { serverEnvironment } from "./postgres-binaries.ts";
import { signalProcess } from "./process-tree.ts";
import { runCommand } from "./run-command.ts";
import type { ServerUser } from "./server-user.ts";
import { waitFor } from "./wait-for.ts";
import { guard } from "./watchdog.ts";

const startDeadlineMs = 90_000;
const stopDeadlineMs = 20_000;

/** One broker of a cluster, as a child of this process. */
export class KafkaBroker implements KafkaNode {
  readonly #options: KafkaNodeOptions;
  readonly #installation: KafkaInstallation;
  readonly #home: string;
  readonly #user: ServerUser;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  private constructor(options: KafkaNodeOptions, installation: KafkaInstallation, home: string, user: ServerUser) {
    this.#options = options;
    this.#installation = installation;
    this.#home = home;
    this.#user = user;
  }

  /** `home` is the cluster's folder. */
  static async prepare(options: KafkaNodeOptions, home: string, user: ServerUser): Promise<KafkaBroker> {
    const installation = await installKafka();
    const broker = new KafkaBroker(options, installation, home, user);
    const template = await formatKafka(installation, options.index + 1, options.count, options.scram);
    const files = (await readdir(template)).map((name) => join(template, name));
    const owner = ["-o", String(user.uid), "-g", String(user.gid)];
    await runCommand("install", ["-d", "-m", "700", ...owner, broker.#data]);
    await runCommand("install", ["-m", "600", ...owner, ...files, broker.#data]);
    await writeFile(broker.#path("properties"), propertiesOf({ ...options.settings, "log.dirs": broker.#data }));
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
    await using log = await open(this.#path("log"), "w");
    const child = spawn(
      this.#installation.java,
      [
        "-Xms128m",
        `-Xmx${this.#options.heapMiB}m`,
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        `-Dlog4j2.configurationFile=${this.#installation.logSettings}`,
        "-cp",
        this.#installation.classPath,
        "kafka.Kafka",
        this.#path("properties"),
      ],
      { ...this.#user, cwd: "/", env: serverEnvironment, stdio: ["ignore", log.fd, log.fd], detached: true },
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
    this.#signal("SIGTERM");
    this.#signal("SIGCONT");
    const late = setTimeout(() => this.#signal("SIGKILL"), stopDeadlineMs);
    try {
      await this.#ended;
    } finally {
      clearTimeout(late);
    }
  }

  async kill(): Promise<void> {
    this.#signal("SIGKILL");
    await this.#ended;
  }

  /** Connections stay open, nothing answers. */
  freeze(): Promise<void> {
    this.#signal("SIGSTOP");
    return Promise.resolve();
  }

  wake(): Promise<void> {
    this.#signal("SIGCONT");
    return Promise.resolve();
  }

  /** The cluster's folder is removed as a whole. */
  remove(): Promise<void> {
    return Promise.resolve();
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.pid !== undefined) signalProcess(this.pid, signal);
  }

  get #data(): string {
    return this.#path("data");
  }

  #path(what: string): string {
    return join(this.#home, `broker-${this.#options.index}.${what}`);
  }
}
