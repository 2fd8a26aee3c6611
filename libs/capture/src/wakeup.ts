import { untilAborted } from "@datatrace/core";

/** Lets loops sleep until there may be something to do. A wake-up is never lost: waiting starts from a ticket. */
export class Wakeup {
  #version = 0;
  #waiting: PromiseWithResolvers<void> | null = null;

  wake(): void {
    this.#version += 1;
    this.#waiting?.resolve();
    this.#waiting = null;
  }

  /** Take it before looking whether there is something to do. */
  get ticket(): number {
    return this.#version;
  }

  /** Resolves at once when there was a wake-up since the ticket. @throws the signal's reason. */
  async since(ticket: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#version !== ticket) return;
    this.#waiting ??= Promise.withResolvers<void>();
    await untilAborted(this.#waiting.promise, signal);
  }
}
