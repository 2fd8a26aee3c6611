const activeMs = 2;
const idleMs = 20;
/** How long it stays quick after the last news. */
const activeForMs = 100;

/**
 * Calls `look` again and again to notice what other processes have done: every 2 ms while there is news, and up to
 * every 20 ms when there is none. `look` says whether it found something.
 */
export class Watch {
  readonly #look: () => boolean;
  #timer: NodeJS.Timeout | null = null;
  #pauseMs = idleMs;
  #newsMs = Number.NEGATIVE_INFINITY;

  constructor(look: () => boolean) {
    this.#look = look;
    this.#schedule();
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      const nowMs = performance.now();
      if (this.#look()) this.#newsMs = nowMs;
      this.#pauseMs = nowMs - this.#newsMs < activeForMs ? activeMs : Math.min(this.#pauseMs * 1.3, idleMs);
      if (this.#timer !== null) this.#schedule();
    }, this.#pauseMs);
  }
}
