import { setTimeout as delay } from "node:timers/promises";

export interface BackOffLimits {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * Capped exponential waiting with jitter of a quarter each way, so that partitions that failed together do not come
 * back together. Counts for ever: giving up is the caller's decision.
 */
export class BackOff {
  readonly #limits: BackOffLimits;
  #attempts = 0;

  constructor(limits: BackOffLimits) {
    this.#limits = limits;
  }

  get attempts(): number {
    return this.#attempts;
  }

  /** What was tried has worked: the next wait is a first one. */
  reset(): void {
    this.#attempts = 0;
  }

  /** The wait before the next attempt, counting this one. */
  nextMs(): number {
    // 2^30 times any first wait is beyond any cap; without a bound the power would become Infinity, and 0 * Infinity NaN.
    const exponent = Math.min(this.#attempts, 30);
    this.#attempts += 1;
    const fullMs = Math.min(this.#limits.firstMs * 2 ** exponent, this.#limits.maxMs);
    return fullMs * (0.75 + Math.random() / 2);
  }

  /** Waits that long. Throws the signal's reason when aborted. */
  async wait(signal: AbortSignal): Promise<void> {
    await pause(this.nextMs(), signal);
  }
}

/** Waits, or throws the signal's reason. */
export async function pause(timeMs: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(timeMs, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
