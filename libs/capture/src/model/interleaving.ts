import type { SeededRandom } from "./seeded-random.ts";

/**
 * Decides in which order things that wait go on: everything that a model does in several steps waits here between
 * them, and one of those that wait is let go at a time.
 */
export class Interleaving {
  readonly #random: SeededRandom;
  #waiting: (() => void)[] = [];

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** One step of a model. @throws the signal's reason. */
  async step(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    await promise;
    signal?.throwIfAborted();
  }

  /** Lets one of those that wait go on. */
  release(): void {
    const [go] = this.#waiting.splice(this.#random.below(this.#waiting.length), 1);
    go?.();
  }
}
