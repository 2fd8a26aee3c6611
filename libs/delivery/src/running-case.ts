import { waitFor } from "@datatrace/testkit";
import type { Address, Delivery } from "./delivery.ts";

/** A delivery under test, with what its `run` came to. */
export class RunningCase implements AsyncDisposable {
  readonly delivery: Delivery;
  readonly #sink: AsyncDisposable | null;
  readonly #running: Promise<void>;
  /** What `run` has thrown; null while it runs, and when it ended well. */
  failure: unknown = null;
  ended = false;

  constructor(delivery: Delivery, sink: AsyncDisposable | null) {
    this.delivery = delivery;
    this.#sink = sink;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    try {
      await this.delivery.run();
    } catch (error) {
      this.failure = error;
    }
    this.ended = true;
  }

  async applied(addresses: readonly Address[], deadlineMs = 20_000): Promise<void> {
    await this.delivery.appliedThrough(addresses, AbortSignal.timeout(deadlineMs));
  }

  async until(what: string, condition: (status: ReturnType<Delivery["status"]>) => boolean): Promise<void> {
    await waitFor(() => condition(this.delivery.status()), { deadlineMs: 20_000, what });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.delivery[Symbol.asyncDispose]();
    await this.#running;
    await this.#sink?.[Symbol.asyncDispose]();
  }
}
