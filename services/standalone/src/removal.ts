import { openCapture } from "@datatrace/capture";
import type { Logger } from "@datatrace/core";
import { decommissionDelivery } from "@datatrace/delivery";
import type { Endpoint, Pipeline, Task } from "@datatrace/runtime";
import { openSink, openSource } from "./open-connectors.ts";
import type { OpenedLog } from "./open-log.ts";
import { captureId, deliveryId, topicPrefix } from "./part-names.ts";

/** One database, or the log, and what would go there. */
export interface Removal {
  readonly where: string;
  /** Ends what a process that was killed, or still runs, has under way in the log: a look would wait for it. */
  fence(): Promise<void>;
  look(): Promise<readonly string[]>;
  remove(): Promise<void>;
}

export interface RemovalContext {
  readonly pipeline: Pipeline;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Slot, publication and topics. Removing them fences a process that may still run. */
export function captureRemoval(
  { pipeline, logger, signal }: RemovalContext,
  endpoint: Endpoint,
  log: OpenedLog | null,
  resources: AsyncDisposableStack,
): Removal {
  const source = resources.use(openSource(pipeline, endpoint, logger));
  const capture =
    log === null
      ? null
      : openCapture({
          capture: captureId(pipeline, endpoint.id),
          prefix: topicPrefix(pipeline),
          source,
          log: log.events,
          registry: log.registry,
          tables: { select: () => [], partitions: () => 1 },
          mode: "stream",
          logger,
        });
  // When the log is gone, what is left at the source still goes.
  const removable = capture ?? source;
  return {
    where: `capture ${endpoint.id}`,
    fence: async () => await capture?.fence(signal),
    look: async () => await removable.decommission(false, signal),
    remove: async () => {
      await removable.decommission(true, signal);
    },
  };
}

/** The group, then offsets and other helper rows in the target. `remove` throws `log.group_in_use` while somebody runs it. */
export function deliveryRemoval(
  { pipeline, logger, signal }: RemovalContext,
  task: Task,
  target: string,
  log: OpenedLog | null,
  resources: AsyncDisposableStack,
): Removal {
  const sink = resources.use(openSink(pipeline, task, target, logger));
  const delivery = deliveryId(pipeline, task.id, target);
  const left = { delivery, sink, log: log?.events ?? null };
  return {
    where: `delivery ${task.id} to ${target}`,
    // Its transactions are in the target.
    fence: () => Promise.resolve(),
    look: async () => await decommissionDelivery(left, false, signal),
    remove: async () => {
      await decommissionDelivery(left, true, signal);
    },
  };
}
