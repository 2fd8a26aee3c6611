import { usedSources } from "../open-connectors.ts";
import type { OpenedLog } from "../open-log.ts";
import { publishedTables } from "../pipeline-state.ts";
import { CapturePart } from "./capture-part.ts";
import { DeliveryPart } from "./delivery-part.ts";
import { RegisteringLog } from "./registering-log.ts";
import type { PartContext } from "./run-part.ts";
import { TableChoice } from "./table-choice.ts";

/** The captures of a pipeline, not running yet. They are closed with the stack. */
export async function openCaptures(
  context: PartContext,
  opened: OpenedLog,
  stack: AsyncDisposableStack,
): Promise<readonly CapturePart[]> {
  const { pipeline, log, logger, signal } = context;
  const captured = new Map(
    await Promise.all(
      usedSources(pipeline).map(async ({ id }) => {
        const tables = await publishedTables(opened, pipeline, id, signal);
        return [id, tables.map(({ table }) => table)] as const;
      }),
    ),
  );
  const choice = new TableChoice(pipeline, captured, logger);
  return usedSources(pipeline).map((endpoint) => {
    const registering = new RegisteringLog(log, (topic) => choice.groupsOf(endpoint.id, topic));
    return stack.use(new CapturePart(endpoint, choice.of(endpoint.id), { ...context, log: registering }));
  });
}

/** Its deliveries likewise. */
export function openDeliveries(context: PartContext, stack: AsyncDisposableStack): readonly DeliveryPart[] {
  return context.pipeline.tasks.flatMap((task) =>
    task.to.map((target) => stack.use(new DeliveryPart(task, target, context))),
  );
}
