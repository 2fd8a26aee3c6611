/** A wait that others can end. */
export class WakeUp {
  #waiting: (() => void) | null = null;
  #due = false;

  /** Ends the wait, or the next one when nobody waits. */
  up(): void {
    this.#due = true;
    this.#waiting?.();
  }

  async wait(ms: number): Promise<void> {
    if (!this.#due) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, ms);
      this.#waiting = resolve;
      await promise;
      clearTimeout(timer);
      this.#waiting = null;
    }
    this.#due = false;
  }
}
