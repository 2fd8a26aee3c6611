import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { errorTable } from "@datatrace/core";
import type { ErrorCode } from "@datatrace/core";
import { guard } from "@datatrace/testkit";

const entry = fileURLToPath(new URL("../main.ts", import.meta.url));
const startAgainMs = 500;
const stopDeadlineMs = 10_000;

/** Trouble that a part has reported. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly fix: string;
  readonly atMs: number;
}

export interface PartOptions {
  /** Arguments of the command line: `["run", file]`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * A process of the pipeline that is started again whenever it ends, as a supervisor would. It leads a group of its
 * own, so that Ctrl-C reaches only the demo; and it dies with the demo, however that ends.
 */
export class Part {
  readonly name: string;
  readonly #options: PartOptions;
  #child: ChildProcess | null = null;
  #ended: Promise<number | null> = Promise.resolve(null);
  #stopping = false;
  #problem: Problem | null = null;

  constructor(name: string, options: PartOptions) {
    this.name = name;
    this.#options = options;
  }

  /** The newest error or warning with a code. */
  get problem(): Problem | null {
    return this.#problem;
  }

  start(): void {
    const { child, ended } = spawnCli(this.#options, (line) => this.#hear(line));
    this.#child = child;
    this.#ended = ended;
    void this.#startAgain(ended);
  }

  /** SIGKILL. */
  kill(): void {
    this.#child?.kill("SIGKILL");
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#child?.kill("SIGTERM");
    const timer = setTimeout(() => this.kill(), stopDeadlineMs);
    await this.#ended;
    clearTimeout(timer);
  }

  async #startAgain(ended: Promise<number | null>): Promise<void> {
    // One that was killed comes back at once, one that gave up after a pause.
    if ((await ended) !== null) await delay(startAgainMs);
    if (!this.#stopping) this.start();
  }

  #hear(line: string): void {
    this.#problem = problemIn(line) ?? this.#problem;
  }
}

/** Runs the command line to its end; answers the exit code, null when it was killed, and what it last complained about. */
export async function runCli(
  options: PartOptions,
  signal: AbortSignal,
): Promise<{ readonly code: number | null; readonly problem: Problem | null }> {
  let problem: Problem | null = null;
  const { child, ended } = spawnCli(options, (line) => {
    problem = problemIn(line) ?? problem;
  });
  const abort = (): void => {
    child.kill("SIGTERM");
  };
  signal.addEventListener("abort", abort, { once: true });
  try {
    if (signal.aborted) abort();
    return { code: await ended, problem };
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function spawnCli(
  options: PartOptions,
  hear: (line: string) => void,
): { readonly child: ChildProcess; readonly ended: Promise<number | null> } {
  const child = spawn(process.execPath, [entry, ...options.args], {
    // A killed part is back in half the time when it need not be compiled again.
    env: { NODE_COMPILE_CACHE: join(tmpdir(), "datatrace-compile-cache"), ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const release = child.pid === undefined ? undefined : guard({ kind: "process", pid: child.pid });
  for (const stream of [child.stdout, child.stderr]) {
    let rest = "";
    stream.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) hear(line);
    });
  }
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      release?.();
      resolve(code);
    });
  });
  return { child, ended };
}

/** A log line of level warn or error that names a code, with the code's fix. */
function problemIn(line: string): Problem | null {
  if (!line.startsWith("{")) return null;
  const fields = parsed(line);
  if (fields["level"] !== "warn" && fields["level"] !== "error") return null;
  const { error } = fields;
  const told = typeof error === "string" ? { message: error } : (error as object | undefined);
  const { code, message, fix } = { ...fields, ...told } as Partial<Problem>;
  if (code === undefined || !(code in errorTable)) return null;
  const known = errorTable[code as ErrorCode];
  return { code, message: message || known.means, fix: fix ?? known.fix, atMs: performance.now() };
}

function parsed(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return {};
  }
}
