import { setTimeout as delay } from "node:timers/promises";

export interface BackOffLimits {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** Capped exponential waiting with jitter of a quarter each way. Counts for ever. */
export class BackOff {
  readonly #limits: BackOffLimits;
  #attempts = 0;

  constructor(limits: BackOffLimits) {
    this.#limits = limits;
  }

  /** The trouble is over: the next wait is a first one. */
  reset(): void {
    this.#attempts = 0;
  }

  /** The wait before the next attempt, counting this one. */
  nextMs(): number {
    // Beyond 2^30 times the first wait there is only the cap; unbounded, the power would become Infinity.
    const fullMs = Math.min(this.#limits.firstMs * 2 ** Math.min(this.#attempts, 30), this.#limits.maxMs);
    this.#attempts += 1;
    return fullMs * (0.75 + Math.random() / 2);
  }

  /** Waits that long. @throws the signal's reason. */
  async wait(signal: AbortSignal): Promise<void> {
    await pause(this.nextMs(), signal);
  }
}

/** Waits. @throws the signal's reason. */
export async function pause(timeMs: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(timeMs, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
