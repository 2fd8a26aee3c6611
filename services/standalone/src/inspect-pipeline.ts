import { DataTraceError } from "@datatrace/core";
import type { CaptureSource, Finding, Logger, TableDescription, TableName } from "@datatrace/core";
import { tableId } from "@datatrace/core";
import { splitTableName } from "@datatrace/runtime";
import type { Endpoint, Pipeline, Task } from "@datatrace/runtime";
import { noticeOf } from "./output.ts";
import { openSink, openSource, usedSources } from "./open-connectors.ts";
import { deliveryId } from "./part-names.ts";
import { objectFor, tableFindings, tablesOf, tasksOf, wanted } from "./task-tables.ts";
import type { LocatedFinding } from "./task-tables.ts";

/** What a preflight found: findings with the line of the file, and the tables that would be copied. */
export interface Inspection {
  readonly findings: readonly LocatedFinding[];
  readonly tables: number;
}

interface SourceView {
  /** Null when the source could not be asked. */
  readonly tables: readonly TableName[] | null;
  readonly descriptions: readonly TableDescription[];
  readonly findings: readonly LocatedFinding[];
}

/** Looks at every source and every target, and changes nothing. An unreachable one is a finding; the others are looked at. */
export async function inspectPipeline(pipeline: Pipeline, logger: Logger, signal: AbortSignal): Promise<Inspection> {
  const sources = await Promise.all(
    usedSources(pipeline).map(
      async (source) => [source.id, await viewSource(pipeline, source, logger, signal)] as const,
    ),
  );
  const views = new Map(sources);
  const tables = new Map(sources.flatMap(([id, view]) => (view.tables === null ? [] : [[id, view.tables]])));
  const targets = await Promise.all(
    pipeline.tasks.flatMap((task) =>
      task.to.map((target) =>
        viewTarget(pipeline, task, target, views.get(task.from)?.descriptions ?? [], logger, signal),
      ),
    ),
  );
  return {
    findings: [
      ...sources.flatMap(([, { findings }]) => findings),
      ...tableFindings(pipeline, tables),
      ...targets.flat(),
    ],
    tables: sources.reduce((sum, [, { descriptions }]) => sum + descriptions.length, 0),
  };
}

async function viewSource(
  pipeline: Pipeline,
  endpoint: Endpoint,
  logger: Logger,
  signal: AbortSignal,
): Promise<SourceView> {
  try {
    await using source = openSource(pipeline, endpoint, logger);
    return await lookAtSource(pipeline, endpoint, source, signal);
  } catch (error) {
    return { tables: null, descriptions: [], findings: [findingOf(error, `source \`${endpoint.id}\``, endpoint.line)] };
  }
}

async function lookAtSource(
  pipeline: Pipeline,
  endpoint: Endpoint,
  source: CaptureSource,
  signal: AbortSignal,
): Promise<SourceView> {
  const tables = await source.listTables(signal);
  const chosen = tables.filter((table) => wanted(pipeline, endpoint.id, table));
  const descriptions = chosen.length === 0 ? [] : await source.describeTables(chosen, signal);
  const found = [...descriptions.flatMap(({ findings }) => findings), ...(await source.inspect(chosen, signal))];
  return {
    tables,
    descriptions,
    findings: distinct(found).map((finding) => located(finding, lineOf(pipeline, endpoint, finding))),
  };
}

/** Where the table of a finding is asked for; else where the source stands. */
function lineOf(pipeline: Pipeline, endpoint: Endpoint, { table }: Finding): number {
  if (table === undefined) return endpoint.line;
  const objects = tasksOf(pipeline, endpoint.id).map((task) => objectFor(task, splitTableName(table)));
  return objects.find((object) => object !== null)?.line ?? endpoint.line;
}

/** A connector may say the same of a table in its description and in its inspection. */
function distinct(findings: readonly Finding[]): readonly Finding[] {
  return [...new Map(findings.map((finding) => [JSON.stringify(finding), finding])).values()];
}

async function viewTarget(
  pipeline: Pipeline,
  task: Task,
  target: string,
  descriptions: readonly TableDescription[],
  logger: Logger,
  signal: AbortSignal,
): Promise<readonly LocatedFinding[]> {
  const line = pipeline.targets.get(target)?.line ?? task.line;
  const usable = descriptions.filter(({ findings }) => findings.every(({ severity }) => severity !== "error"));
  const chosen = tablesOf(
    task,
    usable.map(({ schema }) => schema.name),
  );
  const bySource = new Map(usable.map(({ schema }) => [tableId(schema.name), schema]));
  const tables = chosen.flatMap(({ table, target: name }) => {
    const schema = bySource.get(tableId(table));
    return schema === undefined ? [] : [{ target: name, schema, strategy: task.sync.tableExistsStrategy }];
  });
  try {
    await using sink = openSink(pipeline, task, target, logger);
    const findings = await sink.inspect(deliveryId(pipeline, task.id, target), tables, signal);
    return findings.map((finding) => located(finding, line));
  } catch (error) {
    return [findingOf(error, `target \`${target}\``, line)];
  }
}

function located(finding: Finding, line: number): LocatedFinding {
  return { ...finding, line };
}

/** What could not be looked at. A bug of ours is not a finding. */
function findingOf(error: unknown, where: string, line: number): LocatedFinding {
  if (!(error instanceof DataTraceError)) throw error;
  const { code, message, fix } = noticeOf(error);
  return { severity: "error", code, message: `${where}: ${message}`, fix, line };
}
