import type { ErrorCode } from "@datatrace/core";

/** `finished`: all done. `stopped`: ended as asked. `failed`: ended by an error, and will not go on by itself. */
export type PartState = "starting" | "running" | "retrying" | "finished" | "stopped" | "failed";

/** An error as health and status show it. */
export interface PartError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly fix: string;
}

export interface PartHealth {
  readonly part: string;
  readonly state: PartState;
  /** ISO 8601, of the last change of state. */
  readonly since: string;
  readonly error: PartError | null;
}

export interface Readiness {
  readonly ready: boolean;
  readonly parts: readonly PartHealth[];
}

interface Entry {
  state: PartState;
  sinceMs: number;
  error: PartError | null;
}

/** A part that retries may do so this long before the process counts as not ready. */
export const retryGraceMs = 30_000;

/** What the parts of a process (captures, deliveries) say of themselves. */
export class Health {
  readonly #parts = new Map<string, Entry>();
  readonly #now: () => number;
  readonly #graceMs: number;

  constructor(graceMs: number = retryGraceMs, now: () => number = Date.now) {
    this.#graceMs = graceMs;
    this.#now = now;
  }

  /** The part that has been retrying longer than the grace, null when there is none. */
  stuck(): PartHealth | null {
    const { ready, parts } = this.readiness();
    const limit = this.#now() - this.#graceMs;
    return ready ? null : (parts.find(({ state, since }) => state === "retrying" && Date.parse(since) < limit) ?? null);
  }

  /** Setting the same state again keeps its time. */
  set(part: string, state: PartState, error: PartError | null = null): void {
    const entry = this.#parts.get(part);
    if (entry?.state === state) {
      entry.error = error;
      return;
    }
    this.#parts.set(part, { state, sinceMs: this.#now(), error });
  }

  /** It is no part of this process any more. */
  remove(part: string): void {
    this.#parts.delete(part);
  }

  /** Ready = there is a part, all run (or are finished), and none has been retrying longer than the grace. */
  readiness(): Readiness {
    const now = this.#now();
    const entries = [...this.#parts];
    const ready =
      entries.length > 0 &&
      entries.every(([, { state, sinceMs }]) =>
        state === "retrying" ? now - sinceMs <= this.#graceMs : state === "running" || state === "finished",
      );
    const parts = entries.map(([part, { state, sinceMs, error }]) => ({
      part,
      state,
      since: new Date(sinceMs).toISOString(),
      error,
    }));
    return { ready, parts };
  }
}
