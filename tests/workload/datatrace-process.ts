import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { guard } from "@datatrace/testkit";

const environment = JSON.parse(
  readFileSync(new URL("../../deploy/process-environment.json", import.meta.url), "utf8"),
) as Readonly<Record<string, string>>;
const entry = fileURLToPath(import.meta.resolve("../../services/standalone/src/main.ts"));
const keepLines = 400;
const compileCache = join(tmpdir(), "datatrace-compile-cache");

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ProcessOptions {
  /** Arguments of the command line: `["run", file, "--only", "sink"]`. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Options of Node itself. */
  readonly nodeArgs?: readonly string[];
}

/** A DataTrace command line as a process of its own, which can be killed, frozen and woken. It dies with this process. */
export class DataTraceProcess {
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #listeners = new Set<(line: string) => void>();
  readonly ended: Promise<ProcessEnd>;
  #end: ProcessEnd | null = null;

  constructor(options: ProcessOptions) {
    const child = spawn(process.execPath, [...(options.nodeArgs ?? []), entry, ...options.args], {
      // The compiled sources are kept: a killed process is back in half the time.
      env: { NODE_COMPILE_CACHE: compileCache, ...environment, ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      // Ctrl-C is for the harness alone.
      detached: true,
    });
    this.#child = child;
    const release = child.pid === undefined ? undefined : guard({ kind: "process", pid: child.pid });
    for (const stream of [child.stdout, child.stderr]) {
      let rest = "";
      stream?.setEncoding("utf8").on("data", (text: string) => {
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) this.#heard(line);
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

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Null while it runs. */
  get end(): ProcessEnd | null {
    return this.#end;
  }

  /** The newest lines of both outputs, without those that only tell the progress. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  onLine(listener: (line: string) => void): void {
    this.#listeners.add(listener);
  }

  /** False when it has ended already. */
  signal(signal: NodeJS.Signals): boolean {
    return this.#end === null && this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
  }

  /** SIGTERM, and SIGKILL when it has not ended by the deadline. True when it ended by itself with code 0. */
  async terminate(deadlineMs: number): Promise<boolean> {
    this.signal("SIGTERM");
    const timer = setTimeout(() => this.signal("SIGKILL"), deadlineMs);
    const end = await this.ended;
    clearTimeout(timer);
    return end.code === 0;
  }

  #heard(line: string): void {
    if (!line.startsWith('{"event":"progress"')) this.#lines.push(line);
    if (this.#lines.length > keepLines) this.#lines.shift();
    for (const listener of this.#listeners) listener(line);
  }
}
