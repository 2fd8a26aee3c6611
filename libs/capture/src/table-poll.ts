import type { Logger } from "@datatrace/core";
import { pause } from "./back-off.ts";
import type { Catalog } from "./catalog.ts";
import type { CaptureObserver } from "./observer.ts";
import { isPassing } from "./stop-reason.ts";
import { Wakeup } from "./wakeup.ts";

export interface TablePollOptions {
  readonly catalog: Catalog;
  readonly intervalMs: number;
  /** Called after every look that succeeded; `joined`: tables were added. */
  readonly looked: (joined: boolean) => void;
  readonly logger: Logger;
  readonly observer: CaptureObserver;
}

/** Looks at the source's tables again and again: tables that join or leave while the capture runs, and new columns. */
export class TablePoll {
  readonly #options: TablePollOptions;
  readonly #asked = new Wakeup();
  readonly #finished = new Wakeup();
  #begun = 0;
  #succeeded = 0;

  constructor(options: TablePollOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    for (let failing = false; ;) {
      const ticket = this.#asked.ticket;
      const look = (this.#begun += 1);
      failing = await this.#look(look, failing, signal);
      const waited = new AbortController();
      try {
        const either = AbortSignal.any([signal, waited.signal]);
        await Promise.race([this.#asked.since(ticket, either), pause(this.#options.intervalMs, either)]);
      } finally {
        waited.abort();
      }
    }
  }

  /** Resolves when a look that begins after this call has succeeded. */
  async next(signal: AbortSignal): Promise<void> {
    const wanted = this.#begun + 1;
    this.#asked.wake();
    for (let ticket = this.#finished.ticket; this.#succeeded < wanted; ticket = this.#finished.ticket) {
      await this.#finished.since(ticket, signal);
    }
  }

  async #look(look: number, failing: boolean, signal: AbortSignal): Promise<boolean> {
    const { catalog, looked, logger, observer } = this.#options;
    try {
      looked(await catalog.refresh(signal));
      this.#succeeded = look;
      this.#finished.wake();
      return false;
    } catch (error) {
      signal.throwIfAborted();
      if (!isPassing(error)) throw error;
      observer.retried(error.code);
      if (!failing) logger.warn("tables cannot be looked at", { code: error.code, error: error.message });
      return true;
    }
  }
}
