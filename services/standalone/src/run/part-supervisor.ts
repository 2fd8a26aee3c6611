import type { Health, PartError } from "@datatrace/runtime";
import { noticeOf } from "../output.ts";
import { isTakenOver } from "./run-part.ts";
import type { PartFailure, RunPart } from "./run-part.ts";

export interface SupervisorHooks {
  readonly health: Health;
  /** A part has failed for good; the others go on, unless the supervisor stops them. */
  failed(failure: PartFailure): void;
}

/**
 * Runs the parts of a process. One that fails for good ends alone, and the others go on: unless another process has
 * taken over, or no capture, or no delivery, is left.
 */
export class PartSupervisor {
  readonly #parts: readonly RunPart[];
  readonly #stop: AbortController;
  readonly #hooks: SupervisorHooks;
  readonly #failures: PartFailure[] = [];

  /** `stop` is what the parts listen to. */
  constructor(parts: readonly RunPart[], stop: AbortController, hooks: SupervisorHooks) {
    this.#parts = parts;
    this.#stop = stop;
    this.#hooks = hooks;
  }

  get failures(): readonly PartFailure[] {
    return this.#failures;
  }

  /** Resolves when all parts have ended: stopped, complete or failed. Never rejects. */
  async run(): Promise<void> {
    await Promise.all(this.#parts.map((part) => this.#runPart(part)));
  }

  async #runPart(part: RunPart): Promise<void> {
    try {
      await part.run();
    } catch (error) {
      const failure = { part, error };
      this.#failures.push(failure);
      this.#hooks.failed(failure);
      if (isTakenOver(failure) || this.#allFailed(part.role)) this.#stop.abort();
    } finally {
      this.observe();
    }
  }

  #allFailed(role: RunPart["role"]): boolean {
    return this.#parts.every((part) => part.role !== role || this.#failures.some((failure) => failure.part === part));
  }

  /** Tells the health how the parts are. To be called about once a second. */
  observe(): void {
    for (const part of this.#parts) {
      const failure = this.#failures.find((one) => one.part === part);
      if (failure === undefined) {
        const { state, error } = part.look();
        this.#hooks.health.set(part.name, state, error);
      } else {
        this.#hooks.health.set(part.name, "failed", partError(failure.error));
      }
    }
  }
}

function partError(error: unknown): PartError {
  const { code, message, fix } = noticeOf(error);
  return { code, message, fix };
}
