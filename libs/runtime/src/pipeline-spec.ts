import { DataTraceError, Secret } from "@datatrace/core";
import type { ConnectorSchema, ConnectorSchemas } from "./connector-schemas.ts";
import type { FileProblem } from "./file-problem.ts";
import { pipelineOf } from "./load-pipeline.ts";
import { taskProblems } from "./pipeline-checks.ts";
import type { KafkaLogSettings } from "./pipeline-log.ts";
import { endpointSchema, specSchema } from "./pipeline-schema.ts";
import type { EndpointDocument, PipelineDocument, TaskDocument } from "./pipeline-schema.ts";
import type { Endpoint, Pipeline, Task } from "./pipeline.ts";
import { schemaProblems } from "./schema-problems.ts";
import { YamlSource } from "./yaml-source.ts";

/**
 * The part of a pipeline that one capture or one delivery needs, in the words of the pipeline file. A capture has its
 * source and all its tasks, a delivery its target and its task. Fields that are secrets are `Secret`s.
 */
export interface SpecDocument {
  readonly name: string;
  readonly topic_prefix: string;
  readonly sources?: Readonly<Record<string, EndpointDocument>>;
  readonly targets?: Readonly<Record<string, EndpointDocument>>;
  readonly tasks: Readonly<Record<string, TaskDocument>>;
}

/** What the capture of a source needs to know. */
export function captureDocument(pipeline: Pipeline, source: Endpoint, topicPrefix: string): SpecDocument {
  const tasks = pipeline.tasks.filter(({ from }) => from === source.id);
  return {
    name: pipeline.name,
    topic_prefix: topicPrefix,
    sources: { [source.id]: endpointDocument(source) },
    tasks: Object.fromEntries(tasks.map((task) => [task.id, taskDocument(task, task.to)])),
  };
}

/** What the delivery of a task to one of its targets needs to know. */
export function deliveryDocument(pipeline: Pipeline, task: Task, target: Endpoint, topicPrefix: string): SpecDocument {
  return {
    name: pipeline.name,
    topic_prefix: topicPrefix,
    targets: { [target.id]: endpointDocument(target) },
    tasks: { [task.id]: taskDocument(task, [target.id]) },
  };
}

function endpointDocument({ type, config }: Endpoint): EndpointDocument {
  return { type, ...config };
}

/** With every default, so that it means the same in every version. */
function taskDocument({ from, mode, objects, sync }: Task, to: readonly string[]): TaskDocument {
  return {
    from,
    to: [...to],
    mode,
    objects: objects.map(({ pattern, to: name }) => ({
      table: pattern.text,
      ...(name === null ? {} : { to: `${name.schema}.${name.table}` }),
    })),
    sync: {
      batch_size: sync.batchRows,
      thread_count: sync.threads,
      error_strategy: sync.errorStrategy,
      partitions: sync.partitions,
      table_exists_strategy: sync.tableExistsStrategy,
    },
  };
}

/**
 * The pipeline of one spec, over the log of this process: only its own sources, targets and tasks are in it.
 * @throws DataTraceError `control.spec_invalid`, naming the field and never a value (I8).
 */
export function pipelineOfSpec(
  id: string,
  spec: unknown,
  log: KafkaLogSettings,
  connectors: ConnectorSchemas,
): Pipeline {
  const document = revealed(spec);
  // A record has no lines.
  const source = new YamlSource("");
  const outline = schemaProblems(specSchema(connectors), document, [], source);
  demandNone(id, outline);
  const { sources = {}, targets = {}, topic_prefix: topicPrefix, ...rest } = document as SpecDocument;
  const whole: PipelineDocument = { ...rest, sources, targets };
  demandNone(id, [
    ...endpointProblems("sources", sources, connectors.sources, source),
    ...endpointProblems("targets", targets, connectors.targets, source),
    ...taskProblems(whole, source),
  ]);
  return pipelineOf({ file: `spec ${id}`, log: { ...log, topicPrefix } }, whole, connectors, source);
}

function endpointProblems(
  section: string,
  entries: Readonly<Record<string, EndpointDocument>>,
  known: readonly ConnectorSchema[],
  source: YamlSource,
): readonly FileProblem[] {
  return Object.entries(entries).flatMap(([id, entry]) => {
    const connector = known.find(({ type }) => type === entry.type);
    return connector === undefined ? [] : schemaProblems(endpointSchema(connector), entry, [section, id], source);
  });
}

function demandNone(id: string, [problem]: readonly FileProblem[]): void {
  if (problem === undefined) return;
  const { message, path } = problem;
  throw new DataTraceError("control.spec_invalid", { message, detail: { spec: id, path } });
}

/** Secrets as the texts that the schemas speak of; those that are secret are made `Secret`s again with the pipeline. */
function revealed(value: unknown): unknown {
  if (value instanceof Secret) return value.reveal();
  if (Array.isArray(value)) return value.map((one: unknown) => revealed(one));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]: [string, unknown]) => [name, revealed(one)]));
}
