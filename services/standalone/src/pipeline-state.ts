import { DataTraceError, parsePublishedTable, stateTopic } from "@datatrace/core";
import type { EventLog, PublishedTable, Sink } from "@datatrace/core";
import type { Pipeline, Task } from "@datatrace/runtime";
import { latestOfWriter } from "./log-records.ts";
import type { ReadableLog } from "./log-records.ts";
import { usedSources } from "./open-connectors.ts";
import { captureId } from "./part-names.ts";
import { targetFor } from "./task-tables.ts";

/** Whether a capture of the pipeline has ever got as far as its state. */
export async function hasRun(log: EventLog, pipeline: Pipeline, signal: AbortSignal): Promise<boolean> {
  for (const { id } of usedSources(pipeline)) {
    if ((await log.topic(stateTopic(captureId(pipeline, id)), signal)) !== null) return true;
  }
  return false;
}

/** The tables of a source's capture, as its state in the log says; empty before its first run. */
export async function publishedTables(
  log: ReadableLog,
  pipeline: Pipeline,
  source: string,
  signal: AbortSignal,
): Promise<readonly PublishedTable[]> {
  const topic = stateTopic(captureId(pipeline, source));
  if ((await log.events.topic(topic, signal)) === null) return [];
  const records = await latestOfWriter(log, topic, signal);
  return records.flatMap(({ key, value }) => parsePublishedTable(key, value) ?? []);
}

/** How far one table is in one target. */
export interface DeliveredTable {
  readonly published: PublishedTable;
  /** Records in the log that are not applied; null when the target does not say. */
  readonly lagRows: number | null;
  readonly parkedKeys: number | null;
}

/** Compares what the log holds with the offsets that the target has stored. Holds no group, no claim and no lock. */
export async function deliveredTables(
  log: EventLog,
  sink: Sink,
  delivery: string,
  tables: readonly PublishedTable[],
  signal: AbortSignal,
): Promise<readonly DeliveredTable[]> {
  const partitions = tables.flatMap(({ topic, partitions: count }) =>
    Array.from({ length: count }, (_, partition) => ({ topic, partition })),
  );
  const [progress, parked] = await Promise.all([
    orNothing(sink.progress(delivery, signal)),
    orNothing(sink.parkedKeys(delivery, partitions, signal)),
  ]);
  const next = new Map(progress.map((one) => [`${one.topic}/${one.partition}`, one.next]));
  return await Promise.all(
    tables.map(async (published): Promise<DeliveredTable> => {
      const { topic } = published;
      let lag = 0n;
      for (let partition = 0; partition < published.partitions; partition++) {
        const { earliest, end } = await log.bounds({ topic, partition }, signal);
        lag += end - (next.get(`${topic}/${partition}`) ?? earliest);
      }
      const parkedKeys = parked.filter((one) => one.topic === topic).length;
      return { published, lagRows: Number(lag), parkedKeys };
    }),
  );
}

/** A target that no delivery has opened yet has no helper tables. */
async function orNothing<T>(found: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof DataTraceError && error.code === "sink.table_missing") return [];
    throw error;
  }
}

/** The published tables that a task copies. A table that was refused before it had a topic is among them. */
export function tablesOfTask(task: Task, tables: readonly PublishedTable[]): readonly PublishedTable[] {
  return tables.filter(({ table }) => targetFor(task, table) !== null);
}
