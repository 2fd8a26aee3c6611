import { DataTraceError } from "@datatrace/core";
import type { Logger } from "@datatrace/core";

import type { Retention } from "./retention.ts";

/** Runs the retention again and again. What fails is tried the next time. */
export class RetentionTimer implements AsyncDisposable {
  readonly #retention: Retention;
  readonly #logger: Logger | null;
  readonly #timer: NodeJS.Timeout;
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;

  constructor(retention: Retention, intervalMs: number, logger: Logger | null) {
    this.#retention = retention;
    this.#logger = logger;
    this.#timer = setInterval(() => {
      this.#running ??= this.#run().finally(() => {
        this.#running = null;
      });
    }, intervalMs).unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      await this.#retention.run(this.#stop.signal);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      const code = error instanceof DataTraceError ? error.code : "internal.bug";
      this.#logger?.warn("event log retention failed", { code });
    }
  }
}
