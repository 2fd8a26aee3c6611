import { PipelinedSession } from "@datatrace/postgres";
import type { PipelineOptions } from "@datatrace/postgres";
import { targetError } from "./target-error.ts";

/** A bounded number of sessions on the target, opened when first needed and kept. */
export class SessionPool implements AsyncDisposable {
  readonly #options: PipelineOptions;
  readonly #limit: number;
  readonly #idle: PipelinedSession[] = [];
  readonly #waiting: (() => void)[] = [];
  readonly #closed = new AbortController();
  #inUse = 0;

  constructor(options: PipelineOptions, limit: number) {
    this.#options = options;
    this.#limit = limit;
  }

  /**
   * Runs `work` with a session that nobody else uses meanwhile. When the signal aborts, the session is closed under
   * it, and what was not committed rolls back.
   */
  async use<T>(signal: AbortSignal, work: (session: PipelinedSession) => Promise<T>): Promise<T> {
    const stopped = AbortSignal.any([signal, this.#closed.signal]);
    await this.#enter(stopped);
    try {
      stopped.throwIfAborted();
      const session = this.#takeIdle() ?? (await this.#open(stopped));
      const abort = (): void => session.destroy();
      stopped.addEventListener("abort", abort, { once: true });
      try {
        return await work(session);
      } catch (error) {
        stopped.throwIfAborted();
        throw error;
      } finally {
        stopped.removeEventListener("abort", abort);
        if (session.usable) this.#idle.push(session);
      }
    } finally {
      this.#inUse -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** A session outside of the bound, for what must not wait behind the others. The caller disposes of it. */
  async extra(signal: AbortSignal): Promise<PipelinedSession> {
    return this.#open(AbortSignal.any([signal, this.#closed.signal]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new Error("sink closed"));
    await Promise.all(this.#idle.splice(0).map(async (session) => session[Symbol.asyncDispose]()));
  }

  #takeIdle(): PipelinedSession | null {
    for (let session = this.#idle.pop(); session !== undefined; session = this.#idle.pop()) {
      if (session.usable) return session;
    }
    return null;
  }

  async #open(signal: AbortSignal): Promise<PipelinedSession> {
    try {
      return await PipelinedSession.open(this.#options, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw targetError(error);
    }
  }

  async #enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.#inUse >= this.#limit) {
      const turn = Promise.withResolvers<void>();
      const abort = (): void => turn.reject(signal.reason);
      const wake = (): void => turn.resolve();
      this.#waiting.push(wake);
      signal.addEventListener("abort", abort, { once: true });
      try {
        await turn.promise;
      } catch (error) {
        const place = this.#waiting.indexOf(wake);
        // Already woken: the turn goes to the next.
        if (place === -1) this.#waiting.shift()?.();
        else this.#waiting.splice(place, 1);
        throw error;
      } finally {
        signal.removeEventListener("abort", abort);
      }
    }
    this.#inUse += 1;
  }
}
