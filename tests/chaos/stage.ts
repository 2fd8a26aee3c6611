import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isAlive, isStopped, waitFor } from "@datatrace/testkit";
import { DataTraceProcess } from "../workload/datatrace-process.ts";
import type { Part, Topology } from "./faults.ts";

/** A process that ended by itself: nothing that the rounds do may make one give up. */
export interface SelfExit {
  readonly part: Part;
  readonly code: number;
  /** The error that it named last, or its last line. */
  readonly why: string;
}

/** What a process is told to do to itself, and where. */
export interface Order {
  readonly role: "capture" | "sink";
  readonly failpoint: string;
  readonly action: "kill" | "stop";
  readonly hit: number;
}

/** An order that has been given to a process, or will be to the next. */
export interface Armed {
  /** The process that carried it out, or null when none had by the deadline. */
  fired(deadlineMs: number): Promise<DataTraceProcess | null>;
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
  readonly #processes = new Map<number, DataTraceProcess>();
  /** Given to the next processes of a part, one each. */
  readonly #orders = new Map<Part, Order[]>();
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

  /** Starts every part. The first process of a part gets the first of its orders, the one after it the next. */
  start(orders: readonly Order[]): readonly Armed[] {
    const armed = orders.map((order) => this.#armed(order));
    for (const order of orders) {
      const part = this.partFor(order.role);
      this.#orders.set(part, [...(this.#orders.get(part) ?? []), order]);
    }
    for (const part of this.#parts) this.#spawn(part);
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
  async restartUnder(order: Order): Promise<Armed> {
    const part = this.partFor(order.role);
    const old = await this.process(part);
    this.#retired.add(old);
    await old.kill();
    const armed = this.#armed(order);
    this.#orders.set(part, [order]);
    this.#spawn(part);
    return armed;
  }

  /** Starts a second process for the part, which becomes the part; the old one is no longer looked after. */
  replace(part: Part): { readonly old: DataTraceProcess; readonly successor: DataTraceProcess } | null {
    const old = this.#running.get(part);
    if (old === undefined) return null;
    this.#retired.add(old);
    return { old, successor: this.#spawn(part) };
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

  /** The output of every process so far. */
  lines(): readonly string[] {
    return [...this.#processes].flatMap(([pid, process]) => process.lines.map((line) => `${pid} ${line}`));
  }

  /** Every failpoint that was carried out in this round. */
  firedFailpoints(): readonly string[] {
    return this.#failpointLines().map((line) => (JSON.parse(line) as { readonly failpoint: string }).failpoint);
  }

  #spawn(part: Part): DataTraceProcess {
    const order = this.#orders.get(part)?.shift();
    const only = part === "standalone" ? [] : ["--only", part];
    const process = new DataTraceProcess({
      args: ["run", this.#file, "--json", ...only],
      nodeArgs: ["--import", "@datatrace/testkit/failpoints"],
      env: {
        DATATRACE_FAILPOINTS: order === undefined ? "" : `${order.failpoint}=${order.action}@${order.hit}`,
        DATATRACE_FAILPOINT_LOG: this.#failpointLog,
      },
    });
    this.#running.set(part, process);
    this.#processes.set(process.pid, process);
    void this.#lookAfter(part, process);
    return process;
  }

  async #lookAfter(part: Part, process: DataTraceProcess): Promise<void> {
    const end = await process.ended;
    if (this.#stopping || this.#retired.has(process)) return;
    this.#running.delete(part);
    if (end.code !== null) {
      this.#selfExits.push({ part, code: end.code, why: lastError(process.lines) });
      await delay(startAgainMs);
      if (this.#stopping) return;
    }
    this.#spawn(part);
  }

  /** An order is recognized by its place, action and hit: those of one round differ, or follow each other. */
  #armed(order: Order): Armed {
    const mine = `"failpoint":"${order.failpoint}","action":"${order.action}","hit":${order.hit},"pid":`;
    const before = this.#pidsAfter(mine).length;
    return {
      fired: async (deadlineMs) => {
        const end = performance.now() + deadlineMs;
        for (;;) {
          const pid = this.#pidsAfter(mine)[before];
          // The line is written just before the act.
          if (pid !== undefined && (isStopped(pid) || !isAlive(pid))) return this.#processes.get(pid) ?? null;
          if (performance.now() > end) return null;
          await delay(10);
        }
      },
    };
  }

  #pidsAfter(text: string): readonly number[] {
    return this.#failpointLines()
      .filter((line) => line.includes(text))
      .map((line) => (JSON.parse(line) as { readonly pid: number }).pid);
  }

  #failpointLines(): readonly string[] {
    if (!existsSync(this.#failpointLog)) return [];
    // The last line may still be on its way.
    return readFileSync(this.#failpointLog, "utf8").split("\n").slice(0, -1);
  }
}

function lastError(lines: readonly string[]): string {
  return lines.findLast((line) => /"error"|Error: /.test(line)) ?? lines.at(-1) ?? "no output";
}
