import { tableId } from "@datatrace/core";
import type { StoredRecord } from "@datatrace/core";
import { formatByteSize } from "@datatrace/runtime";
import type { Pipeline } from "@datatrace/runtime";
import type { CommandContext } from "./command-context.ts";
import { lastRecords } from "./log-records.ts";
import { usedSources } from "./open-connectors.ts";
import { openExistingLog } from "./open-log.ts";
import type { OpenedLog, TopicSize } from "./open-log.ts";
import { captureId, topicPrefix } from "./part-names.ts";
import { publishedTables } from "./pipeline-state.ts";
import { countText, textTable } from "./text-table.ts";

/** A topic of the pipeline, and what of it is of interest to a person. */
interface TopicReport extends TopicSize {
  /** `source: schema.table` of a data topic; null for a topic of our own. */
  readonly table: string | null;
  /** Ids of the schemas in the registry that the newest records were written with; of tables alone. */
  readonly schemaIds: readonly number[];
}

/** How many of the newest records of a partition are looked at for their schemas. */
const lookedAt = 10;

/** `topics FILE`: what the pipeline has in the log. Reads without a group, and disturbs nobody. */
export async function topicsCommand(context: CommandContext): Promise<number> {
  const { pipeline, output, logger, signal } = context;
  await using log = await openExistingLog(pipeline, logger, signal);
  const reports = log === null ? [] : await reportsOf(log, pipeline, signal);
  for (const report of reports) output.record("topic", { ...report });
  if (reports.length === 0) output.say("The pipeline has no topics in the log.");
  else for (const line of reportText(reports)) output.say(line);
  return 0;
}

async function reportsOf(log: OpenedLog, pipeline: Pipeline, signal: AbortSignal): Promise<readonly TopicReport[]> {
  const reports = new Map<string, TopicReport>();
  const tables = await tablesByTopic(log, pipeline, signal);
  for (const prefix of prefixesOf(pipeline)) {
    for (const topic of await log.topics(prefix, signal)) {
      const source = tables.get(topic.name) ?? null;
      const schemaIds = topic.cleanup === "delete" ? await schemaIdsOf(log, topic, signal) : [];
      reports.set(topic.name, { ...topic, table: source, schemaIds });
    }
  }
  return [...reports.values()];
}

/** Data topics first, then those of the captures' state. */
function prefixesOf(pipeline: Pipeline): readonly string[] {
  const captures = usedSources(pipeline).map(({ id }) => `datatrace.capture.${captureId(pipeline, id)}.`);
  return [`${topicPrefix(pipeline)}.`, ...captures];
}

async function tablesByTopic(
  log: OpenedLog,
  pipeline: Pipeline,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const { id } of usedSources(pipeline)) {
    for (const { table, topic } of await publishedTables(log, pipeline, id, signal)) {
      found.set(topic, `${id}: ${tableId(table)}`);
    }
  }
  return found;
}

async function schemaIdsOf(log: OpenedLog, topic: TopicSize, signal: AbortSignal): Promise<readonly number[]> {
  const ids = new Set<number>();
  for (let partition = 0; partition < topic.partitions; partition++) {
    const { records } = await lastRecords(log, { topic: topic.name, partition }, lookedAt, signal);
    for (const record of records) for (const id of idsIn(record)) ids.add(id);
  }
  return [...ids].toSorted((one, other) => one - other);
}

/** Key and value begin with a zero byte and the id in four, as Confluent's wire format has it. */
function idsIn({ key, value }: StoredRecord): readonly number[] {
  return [key, value].flatMap((bytes) => {
    if (bytes === null || bytes.byteLength < 5 || bytes[0] !== 0) return [];
    return [new DataView(bytes.buffer, bytes.byteOffset, 5).getUint32(1)];
  });
}

function reportText(reports: readonly TopicReport[]): readonly string[] {
  return textTable([
    ["topic", "table", "cleanup", "partitions", "records", "size", "schema ids"],
    ...reports.map(({ name, table: source, cleanup, partitions, records, sizeBytes, schemaIds }) => [
      name,
      source ?? "",
      cleanup,
      countText(partitions),
      countText(Number(records)),
      sizeBytes === null ? "-" : formatByteSize(sizeBytes),
      schemaIds.join(" "),
    ]),
  ]);
}
