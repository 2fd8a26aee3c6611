import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { waitFor } from "@datatrace/testkit";
import { DataTraceProcess } from "../workload/datatrace-process.ts";
import type { Part, Topology } from "./faults.ts";

/** A process that ended by itself: nothing that the rounds do may make one give up. */
export interface SelfExit {
  readonly part: Part;
  readonly code: number;
  readonly lastLines: readonly string[];
}

interface Order {
  readonly failpoint: string;
  readonly action: "kill" | "stop";
  readonly hit: number;
}

/** A failpoint order that a running process has been given. */
export interface Armed {
  readonly process: DataTraceProcess;
  /** True when it was carried out before the deadline. */
  fired(deadlineMs: number): Promise<boolean>;
}

const terminateDeadlineMs = 10_000;
const startAgainMs = 200;

/** The pipeline's processes in one round. Each one that ends is started again at once, as any supervisor would. */
export class Stage {
  readonly #file: string;
  readonly #failpointLog: string;
  readonly #parts: readonly Part[];
  readonly #running = new Map<Part, DataTraceProcess>();
  readonly #selfExits: SelfExit[] = [];
  readonly #retired = new Set<DataTraceProcess>();
  #stopping = false;

  constructor(folder: string, file: string, topology: Topology) {
    this.#file = file;
    this.#failpointLog = join(folder, "failpoints.jsonl");
    this.#parts = topology === "split" ? ["capture", "sink"] : ["standalone"];
  }

  get selfExits(): readonly SelfExit[] {
    return this.#selfExits;
  }

  /** The part that does the work of `role` here. */
  partFor(role: "capture" | "sink"): Part {
    return this.#parts.includes(role) ? role : "standalone";
  }

  /** Starts every part; the one of `order` already under its failpoint. */
  start(role: "capture" | "sink", order: Order | null): Armed | null {
    let armed: Armed | null = null;
    for (const part of this.#parts) {
      const mine = order !== null && part === this.partFor(role) ? order : null;
      const process = this.#spawn(part, mine);
      if (mine !== null) armed = this.#armed(process, mine);
    }
    return armed;
  }

  /** The running process of a part, waiting for the one that is being started again. */
  async process(part: Part): Promise<DataTraceProcess> {
    return await waitFor(() => this.#running.get(part), { deadlineMs: 5_000, what: `${part} to run again` });
  }

  /** SIGKILL; the part is started again at once. */
  async kill(part: Part): Promise<void> {
    await (await this.process(part)).kill();
    await this.process(part);
  }

  /** Kills the part and starts it again under a failpoint. */
  async restartUnder(role: "capture" | "sink", order: Order): Promise<Armed> {
    const part = this.partFor(role);
    const old = await this.process(part);
    this.#retired.add(old);
    await old.kill();
    return this.#armed(this.#spawn(part, order), order);
  }

  /** Starts a second process for the part, which becomes the part; the old one is no longer looked after. */
  replace(part: Part): { readonly old: DataTraceProcess; readonly successor: DataTraceProcess } | null {
    const old = this.#running.get(part);
    if (old === undefined) return null;
    this.#retired.add(old);
    return { old, successor: this.#spawn(part, null) };
  }

  /** SIGTERM to all. False when one had to be killed, or ended with another code than 0. */
  async stop(): Promise<boolean> {
    this.#stopping = true;
    const ends = await Promise.all(
      [...this.#running.values()].map(async (process) => await process.terminate(terminateDeadlineMs)),
    );
    return ends.every(Boolean);
  }

  /** SIGKILL to all, when the round has failed. */
  async abandon(): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#running.values(), ...this.#retired].map(async (process) => await process.kill()));
  }

  /** The newest output of every part. */
  lines(): readonly string[] {
    return [...this.#running].flatMap(([part, process]) => process.lines.slice(-60).map((line) => `${part}: ${line}`));
  }

  /** How often each failpoint was carried out in this round. */
  async firedFailpoints(): Promise<readonly string[]> {
    const text = await readFile(this.#failpointLog, "utf8").catch(() => "");
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => (JSON.parse(line) as { readonly failpoint: string }).failpoint);
  }

  #spawn(part: Part, order: Order | null): DataTraceProcess {
    const only = part === "standalone" ? [] : ["--only", part];
    const process = new DataTraceProcess({
      args: ["run", this.#file, "--json", ...only],
      nodeArgs: ["--import", "@datatrace/testkit/failpoints"],
      env: {
        DATATRACE_FAILPOINTS: order === null ? "" : `${order.failpoint}=${order.action}@${order.hit}`,
        DATATRACE_FAILPOINT_LOG: this.#failpointLog,
      },
    });
    this.#running.set(part, process);
    void this.#lookAfter(part, process);
    return process;
  }

  async #lookAfter(part: Part, process: DataTraceProcess): Promise<void> {
    const end = await process.ended;
    if (this.#stopping || this.#retired.has(process)) return;
    this.#running.delete(part);
    if (end.code !== null) {
      this.#selfExits.push({ part, code: end.code, lastLines: process.lines.slice(-8) });
      await delay(startAgainMs);
      if (this.#stopping) return;
    }
    this.#spawn(part, null);
  }

  #armed(process: DataTraceProcess, order: Order): Armed {
    return {
      process,
      fired: async (deadlineMs) => {
        const end = performance.now() + deadlineMs;
        for (;;) {
          // Looked at before the file: a line is written before its process ends.
          const over = performance.now() > end || process.end !== null;
          const text = await readFile(this.#failpointLog, "utf8").catch(() => "");
          const mine = `"failpoint":"${order.failpoint}","action":"${order.action}","hit":${order.hit},"pid":${process.pid}`;
          if (text.includes(mine)) return true;
          if (over) return false;
          await delay(10);
        }
      },
    };
  }
}
