import type { TopicPartition } from "@datatrace/core";
import type { DeliveryOptions } from "./delivery-options.ts";
import type { DeliveryStatus } from "./delivery-status.ts";
import { RunningDelivery } from "./running-delivery.ts";

/** Last record of a partition that somebody waits for. */
export type Address = TopicPartition & { readonly last: bigint };

/** One task's tables, delivered to one target. Disposing it stops it, and waits until it has stopped. */
export interface Delivery extends AsyncDisposable {
  /**
   * Runs until it is stopped. Call it once.
   * @throws DataTraceError for what does not pass by itself: the row that the strategy `pause` stops at,
   * `sink.login_failed` and `sink.grant_missing` at the start, `log.closed`.
   */
  run(): Promise<void>;
  status(): DeliveryStatus;
  /**
   * Resolves when the target has stored an offset beyond each of these records, whichever member applied it. Topics
   * that this delivery leaves out count as applied.
   * @throws DataTraceError of a table that has stopped, or of the delivery.
   */
  appliedThrough(addresses: readonly Address[], signal: AbortSignal): Promise<void>;
}

/** A delivery over ports. Nothing happens before `run`. */
export function openDelivery(options: DeliveryOptions): Delivery {
  return new RunningDelivery(options);
}
