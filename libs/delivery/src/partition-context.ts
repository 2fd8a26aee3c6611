import type { EventLog, Logger, Sink } from "@datatrace/core";
import type { EventDecoder } from "@datatrace/avro";
import type { ApplyQueue } from "./apply-queue.ts";
import type { DeliveryTiming, ErrorStrategy } from "./delivery-options.ts";
import type { DeliveryObserver } from "./observer.ts";
import type { RereadRequests } from "./reread-requests.ts";

/** What all partitions of a delivery work with. */
export interface PartitionContext {
  readonly delivery: string;
  readonly log: EventLog;
  readonly sink: Sink;
  readonly decoder: EventDecoder;
  readonly queue: ApplyQueue;
  readonly rereads: RereadRequests;
  readonly errorStrategy: ErrorStrategy;
  readonly batchRows: number;
  readonly timing: DeliveryTiming;
  readonly logger: Logger;
  readonly observer: DeliveryObserver;
  /** Bytes of undecoded records that one partition may hold now. */
  readonly queueBytes: () => number;
  /** The stored offset moved, or the state changed. */
  readonly changed: () => void;
}
