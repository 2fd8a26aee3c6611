import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { LogRecord, TopicPartition } from "@datatrace/core";
import type { EventLogHarness } from "./event-log-harness.ts";
import { waitFor } from "./wait-for.ts";
import { guard } from "./watchdog.ts";

export type ChildOrder = { readonly id: number } & ChildCommand;

type ChildCommand =
  | { readonly do: "open_writer"; readonly writer: string }
  | { readonly do: "append"; readonly writer: string; readonly records: readonly LogRecord[] }
  | { readonly do: "read"; readonly group: string; readonly topics: readonly string[] }
  | {
      readonly do: "flood";
      readonly writer: string;
      readonly topics: readonly string[];
      readonly width: number;
      readonly first: number;
    }
  | { readonly do: "close" };

export type ChildReport =
  | { readonly kind: "ready" }
  | { readonly kind: "done"; readonly id: number; readonly answer: unknown }
  | { readonly kind: "failed"; readonly id: number; readonly code: string }
  | { readonly kind: "assigned" | "revoked"; readonly partitions: readonly TopicPartition[] }
  | ({ readonly kind: "records"; readonly values: readonly string[] } & TopicPartition)
  | { readonly kind: "flooded"; readonly round: number };

const deadlineMs = 30_000;

/** A process of its own with a client of a harness's log: it can be killed, frozen and sent to its failpoints. */
export class EventLogProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #release: () => void;
  readonly #answers = new Map<number, { resolve: (answer: unknown) => void; reject: (error: Error) => void }>();
  readonly #held = new Map<string, TopicPartition>();
  readonly #values: string[] = [];
  #ready = false;
  #lastRound = -1;
  #lastId = 0;

  private constructor(harness: EventLogHarness, failpoints: string) {
    this.#child = fork(
      fileURLToPath(new URL("event-log-child.ts", import.meta.url)),
      [harness.child.module, harness.child.parameters],
      {
        execArgv: ["--import", new URL("failpoints.ts", import.meta.url).href],
        env: { ...process.env, DATATRACE_FAILPOINTS: failpoints },
        serialization: "advanced",
      },
    );
    this.#release = guard({ kind: "process", pid: this.pid });
    this.#exited = once(this.#child, "exit");
    this.#child.on("message", (report: ChildReport) => this.#receive(report));
    this.#child.on("exit", () => {
      for (const { reject } of this.#answers.values()) reject(new Error("the child has ended"));
    });
  }

  /** `failpoints` as in `DATATRACE_FAILPOINTS`. */
  static async start(harness: EventLogHarness, failpoints = ""): Promise<EventLogProcess> {
    const started = new EventLogProcess(harness, failpoints);
    await waitFor(() => started.#ready, { deadlineMs, what: "a child process to open the log" });
    return started;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Partitions that its reader has, as `topic/partition`. */
  get held(): ReadonlySet<string> {
    return new Set(this.#held.keys());
  }

  /** Values that its reader got, in order. */
  get values(): readonly string[] {
    return this.#values;
  }

  /** The last round of `flood` that was acknowledged; -1 before the first. */
  get lastRound(): number {
    return this.#lastRound;
  }

  /** @throws Error with the error code as message, or that the child has ended. */
  order(command: ChildCommand): Promise<unknown> {
    this.#lastId += 1;
    const id = this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#answers.set(id, { resolve, reject });
    this.#child.send({ id, ...command });
    return promise;
  }

  /** An order that goes on until the child ends. */
  begin(command: ChildCommand): void {
    this.order(command).catch(() => undefined);
  }

  /** `kill -9`, and waits until it is gone. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended();
  }

  /** Waits until it has ended by itself. */
  async ended(): Promise<void> {
    await this.#exited;
  }

  freeze(): void {
    this.#child.kill("SIGSTOP");
  }

  wake(): void {
    this.#child.kill("SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    this.#release();
  }

  #receive(report: ChildReport): void {
    switch (report.kind) {
      case "ready":
        this.#ready = true;
        break;
      case "done":
        this.#answers.get(report.id)?.resolve(report.answer);
        this.#answers.delete(report.id);
        break;
      case "failed":
        this.#answers.get(report.id)?.reject(new Error(report.code));
        this.#answers.delete(report.id);
        break;
      case "assigned":
        for (const partition of report.partitions)
          this.#held.set(`${partition.topic}/${partition.partition}`, partition);
        break;
      case "revoked":
        for (const partition of report.partitions) this.#held.delete(`${partition.topic}/${partition.partition}`);
        break;
      case "records":
        this.#values.push(...report.values);
        break;
      case "flooded":
        this.#lastRound = report.round;
        break;
    }
  }
}
