import { rereadMessageKey, rereadMessageValue, rereadsTopic } from "@datatrace/core";
import type { EventLog, Logger, RereadRequest } from "@datatrace/core";
import { keyIdentity } from "@datatrace/avro";
import { BackOff } from "./back-off.ts";
import type { BackOffLimits } from "./back-off.ts";
import { isPassing } from "./stop-reason.ts";

/**
 * Rows that the capture is asked to publish again. The target remembers each request until a full row of its key is
 * applied; this sends them through the log, again at each claim, so that none is lost with the process that asked.
 */
export class RereadRequests {
  readonly #log: EventLog;
  readonly #writerId: string;
  readonly #logger: Logger;
  readonly #limits: BackOffLimits;
  readonly #signal: AbortSignal;
  /** Topic → key identity → request. */
  readonly #open = new Map<string, Map<string, RereadRequest>>();
  #unsent: RereadRequest[] = [];
  #sending: Promise<void> | null = null;

  constructor(log: EventLog, delivery: string, logger: Logger, limits: BackOffLimits, signal: AbortSignal) {
    this.#log = log;
    this.#writerId = `datatrace.delivery.${delivery}.rereads`;
    this.#logger = logger;
    this.#limits = limits;
    this.#signal = signal;
  }

  /** Requests that the target has stored. */
  asked(requests: readonly RereadRequest[]): void {
    for (const request of requests) {
      const keys = this.#open.get(request.topic) ?? new Map<string, RereadRequest>();
      this.#open.set(request.topic, keys);
      keys.set(keyIdentity(request.key), request);
    }
    this.#unsent.push(...requests);
    if (this.#unsent.length > 0) this.#sending ??= this.#send();
  }

  /** The open request of a key, if there is one. */
  find(topic: string, keyId: string): RereadRequest | null {
    return this.#open.get(topic)?.get(keyId) ?? null;
  }

  /** True when a look at each key is worth it. */
  hasOpen(topic: string): boolean {
    return (this.#open.get(topic)?.size ?? 0) > 0;
  }

  /** Their answers are applied. */
  done(requests: readonly RereadRequest[]): void {
    for (const { topic, key } of requests) this.#open.get(topic)?.delete(keyIdentity(key));
  }

  /** Resolves when nothing is being sent any more. */
  async idle(): Promise<void> {
    await this.#sending;
  }

  async #send(): Promise<void> {
    const backOff = new BackOff(this.#limits);
    while (this.#unsent.length > 0 && !this.#signal.aborted) {
      const requests = this.#unsent;
      this.#unsent = [];
      try {
        await this.#append(requests);
      } catch (error) {
        this.#unsent.unshift(...requests);
        if (this.#signal.aborted) break;
        // They are in the target, and sent again when it is claimed: trouble here stops nothing.
        if (!isPassing(error)) this.#logger.warn("requests for rows cannot be sent", { requests: requests.length });
        await backOff.wait(this.#signal).catch(() => {});
      }
    }
    this.#sending = null;
  }

  /** A writer for the moment only: another member may use the same id at any time, which fences, and harms nothing. */
  async #append(requests: readonly RereadRequest[]): Promise<void> {
    await this.#log.ensureTopic({ name: rereadsTopic, partitions: 1, cleanup: "compact" }, this.#signal);
    await using writer = await this.#log.openWriter(this.#writerId, this.#signal);
    const value = rereadMessageValue();
    await writer.append(
      requests.map((request) => ({ topic: rereadsTopic, partition: 0, key: rereadMessageKey(request), value })),
      this.#signal,
    );
  }
}
