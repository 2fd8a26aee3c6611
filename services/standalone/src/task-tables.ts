import { dataTopic, tableId } from "@datatrace/core";
import type { Finding, TableName } from "@datatrace/core";
import { didYouMean } from "@datatrace/runtime";
import type { Pipeline, Task, TaskObject } from "@datatrace/runtime";
import { topicPrefix } from "./part-names.ts";

/** One table that a task copies, and its name in the targets. */
export interface TaskTable {
  readonly table: TableName;
  readonly target: TableName;
  readonly object: TaskObject;
}

/** The entry that takes a table: an exact name comes before a glob, then the order of the file decides. */
export function objectFor(task: Task, table: TableName): TaskObject | null {
  const matching = task.objects.filter(({ pattern }) => pattern.matches(table));
  return matching.find(({ pattern }) => !pattern.isGlob) ?? matching[0] ?? null;
}

/** Where a task puts a table, null when the task does not want it. */
export function targetFor(task: Task, table: TableName): TableName | null {
  const object = objectFor(task, table);
  return object === null ? null : (object.to ?? table);
}

export function tasksOf(pipeline: Pipeline, source: string): readonly Task[] {
  return pipeline.tasks.filter(({ from }) => from === source);
}

/** Tables of a source that any task wants. */
export function wanted(pipeline: Pipeline, source: string, table: TableName): boolean {
  return tasksOf(pipeline, source).some((task) => objectFor(task, table) !== null);
}

/** Partitions of a table's topic, as the first task that wants the table says. */
export function partitionsOf(pipeline: Pipeline, source: string, table: TableName): number {
  const task = tasksOf(pipeline, source).find((one) => objectFor(one, table) !== null);
  return task?.sync.partitions ?? 1;
}

export function tablesOf(task: Task, tables: readonly TableName[]): readonly TaskTable[] {
  return tables.flatMap((table) => {
    const object = objectFor(task, table);
    return object === null ? [] : [{ table, target: object.to ?? table, object }];
  });
}

/** A finding, and the line of the file that it belongs to. */
export interface LocatedFinding extends Finding {
  readonly line: number;
}

/** Tables by source; a source that is left out is not judged. */
export type KnownTables = ReadonlyMap<string, readonly TableName[]>;

/**
 * What shows only when the tables of the sources are known: names without a table, and tables that meet. Where two meet,
 * the finding is about the one that comes later in the file; `taken` puts tables first that were there before.
 */
export function tableFindings(
  pipeline: Pipeline,
  tables: KnownTables,
  taken: (source: string, table: TableName) => boolean = () => false,
): readonly LocatedFinding[] {
  const all = writers(pipeline, tables, taken);
  return [
    ...pipeline.tasks.flatMap((task) => unmatched(task, tables.get(task.from))),
    ...targetConflicts(all),
    ...partitionConflicts(pipeline, all),
    ...topicConflicts(pipeline, all),
  ];
}

function unmatched(task: Task, tables: readonly TableName[] | undefined): readonly LocatedFinding[] {
  if (tables === undefined) return [];
  const names = tables.map((table) => tableId(table));
  return task.objects.flatMap(({ pattern, line }): readonly LocatedFinding[] => {
    if (tables.some((table) => pattern.matches(table))) return [];
    const message = `The source \`${task.from}\` has no table \`${pattern.text}\`${didYouMean(pattern.text, names) || "."}`;
    if (pattern.isGlob) {
      const fix = "Correct the pattern, or leave it: a table that is created later is picked up.";
      return [{ severity: "warning", code: "task.table_unmatched", message, fix, line }];
    }
    const fix = "Correct the name, or create the table.";
    return [{ severity: "error", code: "source.table_missing", message, fix, table: pattern.text, line }];
  });
}

interface Writer {
  readonly task: Task;
  readonly found: TaskTable;
}

function writers(
  pipeline: Pipeline,
  tables: KnownTables,
  taken: (source: string, table: TableName) => boolean,
): readonly Writer[] {
  const all = pipeline.tasks.flatMap((task) =>
    tablesOf(task, tables.get(task.from) ?? []).map((found) => ({
      task,
      found,
      late: taken(task.from, found.table) ? 0 : 1,
    })),
  );
  return all.toSorted((left, right) => left.late - right.late);
}

function targetConflicts(all: readonly Writer[]): readonly LocatedFinding[] {
  const first = new Map<string, Writer>();
  return all.flatMap((writer) =>
    writer.task.to.flatMap((target): readonly LocatedFinding[] => {
      const id = tableId(writer.found.target);
      const place = `${target} ${id}`;
      const other = first.get(place);
      if (other === undefined) {
        first.set(place, writer);
        return [];
      }
      return [
        {
          severity: "error",
          code: "task.table_conflict",
          message: `Two tables are written to \`${id}\` in \`${target}\`: ${origin(other)} and ${origin(writer)}.`,
          fix: "Give one of them another name with `to`, or take it out.",
          table: tableId(writer.found.table),
          line: writer.found.object.line,
        },
      ];
    }),
  );
}

function origin({ task, found }: Writer): string {
  return `\`${tableId(found.table)}\` of the task \`${task.id}\``;
}

function partitionConflicts(pipeline: Pipeline, all: readonly Writer[]): readonly LocatedFinding[] {
  return all.flatMap(({ task, found }): readonly LocatedFinding[] => {
    const partitions = partitionsOf(pipeline, task.from, found.table);
    if (partitions === task.sync.partitions) return [];
    return [
      {
        severity: "error",
        code: "task.table_conflict",
        message: `Two tasks want \`${tableId(found.table)}\` with ${partitions} and ${task.sync.partitions} partitions: a table has one topic.`,
        fix: "Give both tasks the same `partitions`.",
        table: tableId(found.table),
        line: found.object.line,
      },
    ];
  });
}

function topicConflicts(pipeline: Pipeline, all: readonly Writer[]): readonly LocatedFinding[] {
  const first = new Map<string, string>();
  return all.flatMap(({ task, found }): readonly LocatedFinding[] => {
    const topic = dataTopic(topicPrefix(pipeline), found.table);
    const mine = `${task.from}: ${tableId(found.table)}`;
    const other = first.get(topic);
    first.set(topic, other ?? mine);
    if (other === undefined || other === mine) return [];
    return [
      {
        severity: "error",
        code: "task.topic_conflict",
        message: `\`${other}\` and \`${mine}\` would share the topic \`${topic}\`.`,
        fix: "Put them into two pipelines of different names.",
        table: tableId(found.table),
        line: found.object.line,
      },
    ];
  });
}
