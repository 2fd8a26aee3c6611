import { tableId } from "@datatrace/core";
import type { Logger, PublishedTable, TablePhase } from "@datatrace/core";
import type { Endpoint, Pipeline, Task } from "@datatrace/runtime";
import type { ReadableLog } from "./log-records.ts";
import { openSink, openSource, usedSources } from "./open-connectors.ts";
import { noticeOf } from "./output.ts";
import type { Notice } from "./output.ts";
import { captureId, deliveryId } from "./part-names.ts";
import { deliveredTables, publishedTables, tablesOfTask } from "./pipeline-state.ts";
import { targetFor } from "./task-tables.ts";

export interface SourceStatus {
  readonly source: string;
  readonly capture: string;
  /** Bytes that the source's log has and the capture has not acknowledged; null when the source does not say. */
  readonly lagBytes: number | null;
  readonly error: Notice | null;
}

export interface TableStatus {
  readonly task: string;
  readonly target: string;
  readonly table: string;
  readonly targetTable: string;
  readonly phase: TablePhase;
  readonly rowsRead: number;
  readonly estimatedRows: number;
  readonly lagRows: number | null;
  readonly parkedKeys: number | null;
  readonly error: PublishedTable["error"];
}

export interface DeliveryStatus {
  readonly task: string;
  readonly target: string;
  readonly delivery: string;
  readonly lagRows: number | null;
  readonly parkedKeys: number | null;
  readonly error: Notice | null;
}

export interface PipelineStatus {
  readonly sources: readonly SourceStatus[];
  readonly deliveries: readonly DeliveryStatus[];
  readonly tables: readonly TableStatus[];
}

/** Reads the log, the targets' stored offsets and the sources' streams. A database that does not answer is part of the status. */
export async function pipelineStatus(
  pipeline: Pipeline,
  log: ReadableLog,
  logger: Logger,
  signal: AbortSignal,
): Promise<PipelineStatus> {
  const published = new Map<string, readonly PublishedTable[]>();
  for (const { id } of usedSources(pipeline)) published.set(id, await publishedTables(log, pipeline, id, signal));
  const [sources, deliveries] = await Promise.all([
    Promise.all(usedSources(pipeline).map((endpoint) => sourceStatus(pipeline, endpoint, logger, signal))),
    Promise.all(
      pipeline.tasks.flatMap((task) =>
        task.to.map((target) =>
          deliveryStatus(pipeline, task, target, published.get(task.from) ?? [], log, logger, signal),
        ),
      ),
    ),
  ]);
  return {
    sources,
    deliveries: deliveries.map(({ delivery }) => delivery),
    tables: deliveries.flatMap(({ tables }) => tables),
  };
}

async function sourceStatus(
  pipeline: Pipeline,
  endpoint: Endpoint,
  logger: Logger,
  signal: AbortSignal,
): Promise<SourceStatus> {
  const identity = { source: endpoint.id, capture: captureId(pipeline, endpoint.id) };
  try {
    await using source = openSource(pipeline, endpoint, logger);
    const { acknowledged } = await source.stream(signal);
    const lagBytes = acknowledged === null ? null : source.distanceBytes(acknowledged, await source.head(signal));
    return { ...identity, lagBytes, error: null };
  } catch (error) {
    return { ...identity, lagBytes: null, error: noticeOf(error) };
  }
}

async function deliveryStatus(
  pipeline: Pipeline,
  task: Task,
  target: string,
  published: readonly PublishedTable[],
  log: ReadableLog,
  logger: Logger,
  signal: AbortSignal,
): Promise<{ readonly delivery: DeliveryStatus; readonly tables: readonly TableStatus[] }> {
  const mine = tablesOfTask(task, published);
  const delivery = deliveryId(pipeline, task.id, target);
  const describe = (table: PublishedTable, lagRows: number | null, parkedKeys: number | null): TableStatus => ({
    task: task.id,
    target,
    table: tableId(table.table),
    targetTable: tableId(targetFor(task, table.table) ?? table.table),
    phase: table.phase,
    rowsRead: table.rowsRead,
    estimatedRows: table.estimatedRows,
    lagRows,
    parkedKeys,
    error: table.error,
  });
  try {
    await using sink = openSink(pipeline, task, target, logger);
    const delivered = await deliveredTables(log.events, sink, delivery, mine, signal);
    const tables = delivered.map(({ published: table, lagRows, parkedKeys }) => describe(table, lagRows, parkedKeys));
    const sum = (field: "lagRows" | "parkedKeys") => tables.reduce((total, table) => total + (table[field] ?? 0), 0);
    const totals = { lagRows: sum("lagRows"), parkedKeys: sum("parkedKeys") };
    return { delivery: { task: task.id, target, delivery, ...totals, error: null }, tables };
  } catch (error) {
    const unknown = { lagRows: null, parkedKeys: null, error: noticeOf(error) };
    return {
      delivery: { task: task.id, target, delivery, ...unknown },
      tables: mine.map((table) => describe(table, null, null)),
    };
  }
}
