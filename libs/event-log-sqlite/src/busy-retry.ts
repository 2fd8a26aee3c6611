import { isBusy } from "./sqlite-error.ts";

/** A request that waits for its turn was given up by its caller; nothing of it has happened. */
export class Cancelled extends Error {
  override readonly name = "Cancelled";
}

interface Waiting {
  readonly id: number | null;
  /** Runs the work once. False: still busy. */
  attempt(): boolean;
  fail(error: unknown): void;
  readonly deadlineMs: number;
}

/**
 * Runs synchronous work that fails with SQLITE_BUSY while another connection is at work, in the order given, without
 * blocking the thread in between.
 */
export class BusyRetry {
  readonly #waiting: Waiting[] = [];
  readonly #lockedAfterMs: number;
  readonly #locked: (cause: unknown) => Error;
  #timer: NodeJS.Timeout | null = null;
  #pauseMs = 0;
  #lastBusy: unknown;

  constructor(lockedAfterMs: number, locked: (cause: unknown) => Error) {
    this.#lockedAfterMs = lockedAfterMs;
    this.#locked = locked;
  }

  /** `id` names the request, so that `cancel` finds it. The work must leave nothing behind when it meets SQLITE_BUSY. */
  run<T>(work: () => T, id: number | null): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const attempt = (): boolean => {
        try {
          resolve(work());
        } catch (error) {
          if (isBusy(error)) {
            this.#lastBusy = error;
            return false;
          }
          reject(error);
        }
        return true;
      };
      if (this.#waiting.length === 0 && attempt()) return;
      this.#waiting.push({ id, attempt, fail: reject, deadlineMs: performance.now() + this.#lockedAfterMs });
      this.#schedule();
    });
  }

  /** True when the request still waited: it then fails with `Cancelled`. */
  cancel(id: number): boolean {
    const index = this.#waiting.findIndex((waiting) => waiting.id === id);
    const [waiting] = index === -1 ? [] : this.#waiting.splice(index, 1);
    waiting?.fail(new Cancelled());
    return waiting !== undefined;
  }

  /** Fails everything that still waits. */
  close(error: Error): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const waiting of this.#waiting.splice(0)) waiting.fail(error);
  }

  #schedule(): void {
    if (this.#timer !== null) return;
    // Short, and never in step with the other process: its lock is free only for moments while it is busy.
    this.#pauseMs = Math.min(this.#pauseMs + 0.5, 8);
    this.#timer = setTimeout(() => this.#drain(), Math.random() * this.#pauseMs);
  }

  #drain(): void {
    this.#timer = null;
    for (let head = this.#waiting[0]; head !== undefined; head = this.#waiting[0]) {
      if (!head.attempt()) break;
      this.#waiting.shift();
      this.#pauseMs = 0;
    }
    const nowMs = performance.now();
    while (this.#waiting[0] !== undefined && this.#waiting[0].deadlineMs <= nowMs) {
      this.#waiting.shift()?.fail(this.#locked(this.#lastBusy));
    }
    if (this.#waiting.length > 0) this.#schedule();
  }
}
