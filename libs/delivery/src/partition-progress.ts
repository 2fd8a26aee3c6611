import type { Sink, TopicPartition } from "@datatrace/core";
import { placeOf } from "./place.ts";
import { isPassing } from "./stop-reason.ts";

interface Owned {
  readonly at: TopicPartition;
  readonly next: bigint | null;
}

/** Between two looks at what other members have applied. */
const lookMs = 250;

/** Tells who waits for offsets that they have moved. Of partitions that another member owns the target is asked. */
export class PartitionProgress {
  readonly #sink: Sink;
  readonly #delivery: string;
  #changed = Promise.withResolvers<void>();

  constructor(sink: Sink, delivery: string) {
    this.#sink = sink;
    this.#delivery = delivery;
  }

  changed(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Of these records those that the target has not stored an offset beyond. */
  async notYet<T extends TopicPartition & { readonly last: bigint }>(
    addresses: readonly T[],
    owned: readonly Owned[],
    signal: AbortSignal,
  ): Promise<readonly T[]> {
    const own = new Map(owned.map(({ at, next }) => [placeOf(at), next]));
    const open = addresses.filter((address) => (own.get(placeOf(address)) ?? -1n) <= address.last);
    if (open.every((address) => own.get(placeOf(address)) !== undefined)) return open;
    const stored = new Map((await this.#stored(signal)).map((at) => [placeOf(at), at.next]));
    return open.filter((address) => (stored.get(placeOf(address)) ?? -1n) <= address.last);
  }

  /** Resolves when something may have changed. */
  async next(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const finish = (): void => resolve();
    const timer = setTimeout(finish, lookMs);
    signal.addEventListener("abort", finish, { once: true });
    await Promise.race([this.#changed.promise, promise]);
    clearTimeout(timer);
    signal.removeEventListener("abort", finish);
  }

  async #stored(signal: AbortSignal): Promise<readonly (TopicPartition & { readonly next: bigint })[]> {
    try {
      return await this.#sink.progress(this.#delivery, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (isPassing(error)) return [];
      throw error;
    }
  }
}
