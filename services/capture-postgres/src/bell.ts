/** Wakes one sleeper: for the meeting of callbacks (socket, timer, abort) with a loop that pulls. */
export class Bell {
  #ring: (() => void) | null = null;
  #rung = false;

  ring(): void {
    const ring = this.#ring;
    this.#ring = null;
    if (ring === null) this.#rung = true;
    else ring();
  }

  /** Resolves at the next ring, at once if it rang since the last wait, and after `timeoutMs` in any case. */
  async wait(timeoutMs: number): Promise<void> {
    if (this.#rung) {
      this.#rung = false;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    this.#ring = resolve;
    await promise;
    clearTimeout(timer);
    this.#ring = null;
  }
}
