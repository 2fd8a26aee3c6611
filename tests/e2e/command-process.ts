import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { guard, waitFor } from "@datatrace/testkit";

/** What can be run: the command line, or a service alone. */
const programs = {
  datatrace: "../../services/standalone/src/main.ts",
  "capture-postgres": "../../services/capture-postgres/src/main.ts",
  "sink-postgres": "../../services/sink-postgres/src/main.ts",
} as const;

export type Program = keyof typeof programs;

export interface CommandOptions {
  /** The command line when left out. */
  readonly program?: Program;
  readonly args: readonly string[];
  readonly nodeArgs: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** No file may grow beyond this (in units of `ulimit -f`, 1 KiB): writes fail as on a disk that is full. */
  readonly fileLimitKib?: number | undefined;
}

/** A line of JSON on one of the outputs. */
export type JsonLine = Readonly<Record<string, unknown>>;

export interface CommandEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A command line as a process of its own, with its two outputs apart. It dies with this process. */
export class CommandProcess {
  readonly ended: Promise<CommandEnd>;
  readonly #child: ChildProcess;
  readonly #text = { stdout: "", stderr: "" };
  #end: CommandEnd | null = null;

  constructor({ program: which = "datatrace", args, nodeArgs, cwd, env, fileLimitKib }: CommandOptions) {
    const entry = fileURLToPath(import.meta.resolve(programs[which]));
    const command = [process.execPath, ...nodeArgs, entry, ...args];
    const limited = ["bash", "-c", `ulimit -f ${fileLimitKib}; exec "$0" "$@"`, ...command];
    const [program = "", ...rest] = fileLimitKib === undefined ? command : limited;
    const child = spawn(program, rest, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    const release = child.pid === undefined ? undefined : guard({ kind: "process", pid: child.pid });
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (chunk: string) => {
        this.#text[name] += chunk;
      });
    }
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        release?.();
        this.#end = { code, signal };
        resolve(this.#end);
      });
    });
  }

  get stdout(): string {
    return this.#text.stdout;
  }

  get stderr(): string {
    return this.#text.stderr;
  }

  /** Both outputs: what a search for planted values goes through. */
  get output(): string {
    return `${this.stdout}\n${this.stderr}`;
  }

  /** Lines with `--json`: the results. */
  get records(): readonly JsonLine[] {
    return jsonLines(this.stdout);
  }

  /** Lines of the log. */
  get log(): readonly JsonLine[] {
    return jsonLines(this.stderr);
  }

  get running(): boolean {
    return this.#end === null;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
  }

  /** Fails, with what it has printed, when it does not end with this exit code before the deadline. */
  async exits(code: number, deadlineMs = 60_000): Promise<void> {
    const end = await waitFor(() => this.#end, { deadlineMs, what: "the command to end" }).catch(() => null);
    if (end?.code !== code) {
      throw new Error(
        `expected exit code ${code}, got ${end === null ? "none in time" : (end.code ?? end.signal)}:\n${this.#tail()}`,
      );
    }
  }

  /** Waits for a result line (`where: "records"`) or a log line that has these fields. */
  async line(where: "records" | "log", fields: JsonLine, deadlineMs = 30_000): Promise<JsonLine> {
    const found = () =>
      this[where].find((line) => Object.entries(fields).every(([name, value]) => line[name] === value));
    try {
      return await waitFor(
        () => found() ?? (this.running ? null : (found() ?? Promise.reject(new Error("it ended")))),
        {
          deadlineMs,
          what: "a line",
        },
      );
    } catch (error) {
      throw new Error(`no line with ${JSON.stringify(fields)}: ${this.#tail()}`, { cause: error });
    }
  }

  /** Where health and metrics are. */
  async adminUrl(): Promise<string> {
    return String((await this.line("records", { event: "started" }))["url"]);
  }

  /** The same of a service, which has a log only. */
  async serviceUrl(): Promise<string> {
    return String((await this.line("log", { event: "service started" }, 120_000))["url"]);
  }

  #tail(): string {
    return this.output.slice(-2000);
  }
}

function jsonLines(text: string): readonly JsonLine[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("{") && line.endsWith("}"))
    .map((line) => JSON.parse(line) as JsonLine);
}
