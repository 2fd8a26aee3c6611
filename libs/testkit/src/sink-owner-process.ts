import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { FailpointAction } from "./failpoints.ts";
import { isStopped } from "./process-tree.ts";
import type { SinkLimits } from "./sink-harness.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import type { TemporaryDirectory } from "./temporary-directory.ts";
import { waitFor } from "./wait-for.ts";

/** Written by the failpoint just before it acts. */
const fired = "fired.jsonl";

/**
 * A sink in a process of its own that claims `shop.items`/0 and applies one row `1, owner`: something to freeze and to
 * kill in the middle.
 */
export class SinkOwner implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #folder: TemporaryDirectory;
  #output = "";

  private constructor(child: ChildProcess, folder: TemporaryDirectory) {
    this.#child = child;
    this.#folder = folder;
    child.stdout?.on("data", (chunk: Buffer) => {
      this.#output += chunk.toString();
    });
  }

  static async start(
    module: string,
    target: string,
    failpoints: Readonly<Record<string, FailpointAction>>,
    limits: SinkLimits = {},
  ): Promise<SinkOwner> {
    const folder = await temporaryDirectory("sink-owner");
    const script = fileURLToPath(new URL("sink-owner.ts", import.meta.url));
    const failpointModule = new URL("failpoints.ts", import.meta.url).href;
    const child = spawn(
      process.execPath,
      ["--import", failpointModule, script, module, target, JSON.stringify(limits)],
      {
        stdio: ["ignore", "pipe", "inherit"],
        env: {
          ...process.env,
          DATATRACE_FAILPOINTS: Object.entries(failpoints)
            .map(([name, action]) => `${name}=${action}`)
            .join(","),
          DATATRACE_FAILPOINT_LOG: join(folder.path, fired),
        },
      },
    );
    return new SinkOwner(child, folder);
  }

  /** Resolves when the process stands still at its failpoint, whose line it writes just before. */
  async frozen(deadlineMs: number): Promise<void> {
    const file = join(this.#folder.path, fired);
    const { pid } = this.#child;
    await waitFor(() => existsSync(file) && pid !== undefined && isStopped(pid), {
      deadlineMs,
      what: "the owner to freeze",
    });
  }

  wake(): void {
    this.#child.kill("SIGCONT");
  }

  async ended(deadlineMs: number): Promise<void> {
    await waitFor(() => this.#child.exitCode !== null || this.#child.signalCode !== null, {
      deadlineMs,
      what: "the owner to end",
    });
  }

  /** What its `apply` came to in the end: the kind of the outcome. */
  async outcome(deadlineMs: number): Promise<string> {
    const text = await waitFor(() => /^outcome (\S+)$/m.exec(this.#output), {
      deadlineMs,
      what: "the owner's outcome",
    });
    return text[1] ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGKILL");
      await once(this.#child, "exit");
    }
    await this.#folder[Symbol.asyncDispose]();
  }
}
