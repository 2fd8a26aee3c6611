import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { temporaryDirectory, isStopped, waitFor } from "@datatrace/testkit";
import type { TemporaryDirectory } from "@datatrace/testkit";
import type { DeliveryBed } from "./delivery-bed.ts";

const deadlineMs = 30_000;
const fired = "fired.jsonl";

/** One member of a delivery in a process of its own. `orders` as testkit's failpoints take them. */
export class MemberProcess implements AsyncDisposable {
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

  static async start(bed: DeliveryBed, orders = ""): Promise<MemberProcess> {
    const folder = await temporaryDirectory("member");
    const script = fileURLToPath(new URL("delivery-process.ts", import.meta.url));
    const args = ["--import", "@datatrace/testkit/failpoints", script, bed.url, bed.logDirectory];
    const child = spawn(process.execPath, args, {
      stdio: ["ignore", "pipe", "inherit"],
      env: {
        ...process.env,
        DATATRACE_FAILPOINTS: orders,
        DATATRACE_FAILPOINT_LOG: join(folder.path, fired),
      },
    });
    return new MemberProcess(child, folder);
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async ready(): Promise<void> {
    await waitFor(() => this.#output.includes("ready"), { deadlineMs, what: "the member to start" });
  }

  /** Its failpoint has come, and it is dead or stands still. */
  async reached(): Promise<void> {
    const { pid } = this.#child;
    await waitFor(
      () => existsSync(join(this.#folder.path, fired)) && (this.hasEnded || (pid !== undefined && isStopped(pid))),
      { deadlineMs, what: "the failpoint" },
    );
  }

  async ended(): Promise<void> {
    await waitFor(() => this.hasEnded, { deadlineMs, what: "the member to end" });
  }

  /** Asks it to stop; answers whether it did so by itself. */
  async stop(): Promise<boolean> {
    this.#child.kill("SIGTERM");
    await this.ended();
    return this.#output.includes("stopped") && this.#child.exitCode === 0;
  }

  kill(signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.hasEnded) {
      this.#child.kill("SIGKILL");
      await once(this.#child, "exit");
    }
    await this.#folder[Symbol.asyncDispose]();
  }
}
