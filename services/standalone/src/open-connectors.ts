import { sinkConnectors, sourceConnectors } from "@datatrace/connectors";
import { invariant } from "@datatrace/core";
import type { CaptureSource, Logger, Sink } from "@datatrace/core";
import type { ConnectorSchemas, Endpoint, Pipeline, Task } from "@datatrace/runtime";
import { captureId } from "./part-names.ts";
import { tasksOf } from "./task-tables.ts";

/** What the pipeline file may name. */
export const connectorSchemas: ConnectorSchemas = { sources: sourceConnectors, targets: sinkConnectors };

/** Sources that a task reads from, in the order of the file. */
export function usedSources(pipeline: Pipeline): readonly Endpoint[] {
  return [...pipeline.sources.values()].filter(({ id }) => tasksOf(pipeline, id).length > 0);
}

/** Nothing is connected to before the first call. @throws DataTraceError `config.invalid` for a url that cannot be read. */
export function openSource(pipeline: Pipeline, source: Endpoint, logger: Logger): CaptureSource {
  const connector = sourceConnectors.find(({ type }) => type === source.type);
  invariant(connector !== undefined, "the file's schema lets no other type through");
  return connector.open(source.config as never, {
    capture: captureId(pipeline, source.id),
    parallelReads: threadsOf(pipeline, source.id),
    logger,
  });
}

/** Nothing is connected to before the first call. @throws DataTraceError `config.invalid` for a url that cannot be read. */
export function openSink(pipeline: Pipeline, task: Task, target: string, logger: Logger): Sink {
  const endpoint = pipeline.targets.get(target);
  const connector = sinkConnectors.find(({ type }) => type === endpoint?.type);
  invariant(endpoint !== undefined && connector !== undefined, "the file's checks let no other target through");
  return connector.open(endpoint.config as never, { parallelApplies: task.sync.threads, logger });
}

/** Chunks that a source's capture reads at once: what the most demanding of its tasks asks for. */
export function threadsOf(pipeline: Pipeline, source: string): number {
  return Math.max(...tasksOf(pipeline, source).map(({ sync }) => sync.threads));
}
