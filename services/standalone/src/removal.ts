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
  const removable =
    // When the log is gone, what is left at the source still goes.
    log === null
      ? source
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
  return {
    where: `capture ${endpoint.id}`,
    look: async () => await removable.decommission(false, signal),
    remove: async () => {
      await removable.decommission(true, signal);
    },
  };
}

/** Offsets and other helper rows in the target, and the group. Nobody may run it. */
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
    look: async () => await decommissionDelivery(left, false, signal),
    remove: async () => {
      await decommissionDelivery(left, true, signal);
    },
  };
}
