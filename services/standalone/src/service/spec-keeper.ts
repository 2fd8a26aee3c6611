import { setTimeout as delay } from "node:timers/promises";
import type { Spec } from "@datatrace/control";
import { DataTraceError } from "@datatrace/core";
import type { Logger } from "@datatrace/core";
import type { PartLook, RunPart } from "../run/run-part.ts";
import { noticeOf } from "../output.ts";

/** What shall be done with a spec here. */
export interface SpecDuty {
  readonly spec: Spec;
  readonly action: "run" | "decommission";
}

export interface KeeperHooks {
  /** Runs the part of the spec until the signal, or until it fails or is complete; says which part it is. */
  run(spec: Spec, started: (part: RunPart) => void, signal: AbortSignal): Promise<void>;
  /** Removes what the spec has made, and says so in its status. */
  decommission(spec: Spec, signal: AbortSignal): Promise<void>;
  /** Another process has taken it over. True when this has happened too often. */
  fenced(id: string): boolean;
  /** Finds out, from the group, whether it is still owned. */
  rejoin(): void;
  readonly logger: Logger;
}

/** How long a change of owner may take to get around: the writer hears of it first. */
const graceMs = 3_000;
/** Before something that a person must correct is tried again, and something that passes by itself at most. */
const operatorRetryMs = 30_000;
const timedRetryMs = { first: 500, most: 15_000 };

/** Sees to one spec in this process: one thing at a time, and always the newest duty. */
export class SpecKeeper {
  readonly id: string;
  /** Resolves when there is no duty any more, and nothing of it runs. Never rejects. */
  readonly ended: Promise<void>;
  readonly #hooks: KeeperHooks;
  #duty: SpecDuty | null;
  #change = new AbortController();
  #part: RunPart | null = null;
  #look: PartLook = { state: "starting", error: null };
  #failures = 0;
  #over = false;

  constructor(duty: SpecDuty, hooks: KeeperHooks) {
    this.id = duty.spec.id;
    this.#hooks = hooks;
    this.#duty = duty;
    this.ended = this.#keep();
  }

  get part(): RunPart | null {
    return this.#part;
  }

  /** It has ended: another duty needs another keeper. */
  get over(): boolean {
    return this.#over;
  }

  /** Null: it is somebody else's, or nobody's. */
  assign(duty: SpecDuty | null): void {
    if (duty === this.#duty || (duty !== null && sameDuty(duty, this.#duty))) return;
    this.#duty = duty;
    this.#failures = 0;
    this.#change.abort(new Error("the spec has changed, or its owner"));
  }

  look(): PartLook {
    return this.#part?.look() ?? this.#look;
  }

  async #keep(): Promise<void> {
    for (;;) {
      // Not the signal of an earlier duty, or the change would be lost.
      this.#change = new AbortController();
      const { signal } = this.#change;
      if (this.#duty === null) {
        this.#over = true;
        return;
      }
      await this.#attend(this.#duty, signal);
    }
  }

  async #attend(duty: SpecDuty, signal: AbortSignal): Promise<void> {
    try {
      if (duty.action === "run") await this.#run(duty.spec, signal);
      else await this.#hooks.decommission(duty.spec, signal);
      if (signal.aborted) return;
      this.#look = { state: "finished", error: null };
      await changed(signal);
    } catch (error) {
      if (!signal.aborted) await this.#suffer(error, signal);
    }
  }

  async #run(spec: Spec, signal: AbortSignal): Promise<void> {
    this.#look = { state: "starting", error: null };
    try {
      await this.#hooks.run(
        spec,
        (part) => {
          this.#part = part;
        },
        signal,
      );
    } finally {
      this.#part = null;
    }
  }

  /** Waits for the next try, or for a change. */
  async #suffer(error: unknown, signal: AbortSignal): Promise<void> {
    const fenced = error instanceof DataTraceError && error.code === "log.fenced";
    if (!fenced) {
      await this.#waitAfter(error, signal);
      return;
    }
    if (this.#hooks.fenced(this.id)) {
      await this.#waitAfter(new DataTraceError("log.two_owners", { detail: { spec: this.id } }), signal);
      return;
    }
    this.#look = { state: "retrying", error: partError(error) };
    await changedWithin(graceMs, signal);
    // Whoever is fenced does not open the writer again on his own account: a frozen process would fence its successor (I2).
    if (!signal.aborted) this.#hooks.rejoin();
    await changed(signal);
  }

  async #waitAfter(error: unknown, signal: AbortSignal): Promise<void> {
    const { code, message, fix } = noticeOf(error);
    const retry = error instanceof DataTraceError ? error.retry : "never";
    const fields = { spec: this.id, code, error: code === "internal.bug" ? error : message, fix };
    const isFinal = retry === "never" || code === "log.two_owners";
    if (retry === "timed") {
      if (this.#failures === 0) this.#hooks.logger.warn("spec is held up, tries again", fields);
    } else this.#hooks.logger.error("spec has failed", fields);
    this.#failures += 1;
    this.#look = { state: retry === "timed" ? "retrying" : "failed", error: partError(error) };
    if (isFinal) await changed(signal);
    else if (retry === "operator") await changedWithin(operatorRetryMs, signal);
    else await changedWithin(Math.min(timedRetryMs.first * 2 ** (this.#failures - 1), timedRetryMs.most), signal);
  }
}

function sameDuty(one: SpecDuty, other: SpecDuty | null): boolean {
  return one.action === other?.action && one.spec.revision === other.spec.revision;
}

function partError(error: unknown): PartLook["error"] {
  const { code, message, fix } = noticeOf(error);
  return { code, message, fix };
}

async function changed(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
}

async function changedWithin(timeMs: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(timeMs, undefined, { signal });
  } catch {
    // There is a change.
  }
}
