import { setTimeout as delay } from "node:timers/promises";

/** Something that can be killed, and comes back by itself or by `crash`. */
export interface Victim {
  readonly name: string;
  readonly crash: () => void | Promise<void>;
}

const pauseMs = { from: 2_500, to: 6_000 };

/** Kills -9 a random victim every few seconds until stopped. */
export class ChaosMonkey {
  readonly #victims: readonly Victim[];
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #count = 0;
  #last = "";
  #lastMs = 0;

  constructor(victims: readonly Victim[]) {
    this.#victims = victims;
  }

  get kills(): { readonly count: number; readonly last: string } {
    const seconds = Math.round((performance.now() - this.#lastMs) / 1_000);
    return { count: this.#count, last: this.#count === 0 ? "" : `last: ${this.#last}, ${seconds} s ago` };
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Returns when the last victim is back. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (;;) {
      const pause = pauseMs.from + Math.random() * (pauseMs.to - pauseMs.from);
      await delay(pause, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      if (this.#stop.signal.aborted) return;
      const victim = this.#victims[Math.floor(Math.random() * this.#victims.length)];
      if (victim === undefined) return;
      this.#count += 1;
      this.#last = victim.name;
      this.#lastMs = performance.now();
      await victim.crash();
    }
  }
}
