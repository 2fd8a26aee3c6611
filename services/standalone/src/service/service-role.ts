import { setTimeout as delay } from "node:timers/promises";
import type { SpecKind, SpecWish } from "@datatrace/control";
import { DataTraceError } from "@datatrace/core";
import { captureDocument, deliveryDocument } from "@datatrace/runtime";
import type { Endpoint, Pipeline } from "@datatrace/runtime";
import { usedSources } from "../open-connectors.ts";
import type { OpenedLog } from "../open-log.ts";
import { captureId, deliveryId, topicPrefix } from "../part-names.ts";
import { captureRemoval, deliveryRemoval } from "../removal.ts";
import type { Removal, RemovalContext } from "../removal.ts";
import { openCaptures, openDeliveries } from "../run/open-parts.ts";
import type { PartContext, RunPart } from "../run/run-part.ts";

/** What a service of one kind does with its specs. The pipeline of a spec holds nothing but what the spec is about. */
export interface ServiceRole {
  readonly kind: SpecKind;
  /** `capture-postgres`. */
  readonly service: string;
  /** The connector whose specs it runs. */
  readonly type: string;
  /** Only the owner runs a spec; else every replica does, and the owner decommissions it. */
  readonly exclusive: boolean;
  /** The endpoint that a spec's document is about, as far as it can be read without a check. */
  readonly section: "sources" | "targets";
  /** What a pipeline file asks of this service. */
  wishes(pipeline: Pipeline): readonly SpecWish[];
  /** The one part of a spec, not running yet; it is closed with the stack. */
  open(context: PartContext, log: OpenedLog, stack: AsyncDisposableStack): Promise<RunPart | null>;
  /** Removes all that a spec's part has made. It runs nowhere any more, or learns now that it may not. */
  decommission(context: RemovalContext, log: OpenedLog, resources: AsyncDisposableStack): Promise<void>;
}

/** A service that captures from databases of one kind. */
export function captureRole(type: string): ServiceRole {
  return {
    kind: "captures",
    service: `capture-${type}`,
    type,
    exclusive: true,
    section: "sources",
    wishes: (pipeline) =>
      usedSources(pipeline)
        .filter((source) => source.type === type)
        .map((source) => ({
          id: captureId(pipeline, source.id),
          document: captureDocument(pipeline, source, topicPrefix(pipeline)),
        })),
    open: async (context, log, stack) => (await openCaptures(context, log, stack))[0] ?? null,
    decommission: async (context, log, resources) => {
      for (const source of usedSources(context.pipeline)) {
        const removal = captureRemoval(context, source, log, resources);
        // An earlier owner that may still run it loses its writer, and what it had under way.
        await removal.fence();
        await removeWholly(unused(removal, context.signal));
      }
    },
  };
}

/** A service that delivers to databases of one kind. */
export function deliveryRole(type: string): ServiceRole {
  return {
    kind: "deliveries",
    service: `sink-${type}`,
    type,
    exclusive: false,
    section: "targets",
    wishes: (pipeline) =>
      deliveriesOf(pipeline)
        .filter(({ target }) => target.type === type)
        .map(({ task, target }) => ({
          id: deliveryId(pipeline, task.id, target.id),
          document: deliveryDocument(pipeline, task, target, topicPrefix(pipeline)),
        })),
    open: (context, _log, stack) => Promise.resolve(openDeliveries(context, stack)[0] ?? null),
    decommission: async (context, log, resources) => {
      // By then every replica that is alive knows that it is removed, also one that was about to begin.
      await delay(heardMs, undefined, { signal: context.signal });
      for (const { task, target } of deliveriesOf(context.pipeline)) {
        await removeWholly(unused(deliveryRemoval(context, task, target.id, log, resources), context.signal));
      }
    },
  };
}

function deliveriesOf(
  pipeline: Pipeline,
): readonly { readonly task: Pipeline["tasks"][number]; readonly target: Endpoint }[] {
  return pipeline.tasks.flatMap((task) =>
    task.to.flatMap((id) => {
      const target = pipeline.targets.get(id);
      return target === undefined ? [] : [{ task, target }];
    }),
  );
}

/** Replicas look at the specs every second. */
const heardMs = 2_500;
const lookMs = 500;

/**
 * Waits until no replica reads with the group any more. Offsets must not go while another applies: it would begin
 * again at the first record, and the target's rows would go back (I2).
 */
function unused(removal: Removal, signal: AbortSignal): Removal {
  return {
    ...removal,
    remove: async () => {
      for (;;) {
        try {
          await removal.remove();
          return;
        } catch (error) {
          if (!(error instanceof DataTraceError) || error.code !== "log.group_in_use") throw error;
          await delay(lookMs, undefined, { signal });
        }
      }
    },
  };
}

const mostRounds = 5;

/** An owner that is on its way out may make something anew: until nothing is found. */
async function removeWholly(removal: Removal): Promise<void> {
  for (let round = 1; round <= mostRounds; round += 1) {
    await removal.remove();
    if ((await removal.look()).length === 0) return;
  }
}
