import { fileProblem, shown } from "./file-problem.ts";
import type { FileProblem } from "./file-problem.ts";
import { logProblems } from "./log-checks.ts";
import type { PipelineDocument, TaskDocument } from "./pipeline-schema.ts";
import { defaults } from "./pipeline-schema.ts";
import { didYouMean } from "./suggestion.ts";
import { TablePattern } from "./table-pattern.ts";
import type { FilePath, YamlSource } from "./yaml-source.ts";

/** What the fields say together: names that must exist, and tables that two tasks must not both have. */
export function crossFieldProblems(document: PipelineDocument, source: YamlSource): readonly FileProblem[] {
  return [
    ...logProblems(document.log, source),
    ...Object.entries(document.tasks).flatMap(([id, task]) => referenceProblems(document, id, task, source)),
    ...taskProblems(document, source),
  ];
}

/** What the tasks say together, wherever their sources and targets are described. */
export function taskProblems(document: PipelineDocument, source: YamlSource): readonly FileProblem[] {
  return [
    ...Object.entries(document.tasks).flatMap(([id, task]) => objectProblems(id, task, source)),
    ...modeProblems(document, source),
    ...sharedTableProblems(document, source),
  ];
}

function referenceProblems(
  document: PipelineDocument,
  id: string,
  task: TaskDocument,
  source: YamlSource,
): readonly FileProblem[] {
  const missing = (path: FilePath, name: string, kind: "source" | "target", known: readonly string[]) =>
    known.includes(name)
      ? []
      : [
          fileProblem(
            "config.invalid",
            `There is no ${kind} ${shown(name)}${didYouMean(name, known) || "."}`,
            source.line(path),
            path,
            { fix: `Name one of: ${known.join(", ")}.` },
          ),
        ];
  return [
    ...missing(["tasks", id, "from"], task.from, "source", Object.keys(document.sources)),
    ...task.to.flatMap((name, index) =>
      missing(["tasks", id, "to", index], name, "target", Object.keys(document.targets)),
    ),
  ];
}

function objectProblems(id: string, task: TaskDocument, source: YamlSource): readonly FileProblem[] {
  const seen = new Set<string>();
  return task.objects.flatMap((object, index) => {
    const path = ["tasks", id, "objects", index];
    const problems: FileProblem[] = [];
    if (seen.has(object.table)) {
      const message = `The task lists ${shown(object.table)} twice.`;
      problems.push(fileProblem("task.table_conflict", message, source.line(path), path, { fix: "Remove one." }));
    }
    seen.add(object.table);
    if (object.to !== undefined && new TablePattern(object.table).isGlob) {
      const message = "`to` renames one table, and `table` is a glob, which can match more at any time.";
      const fix = "Write the table's exact name, in an entry of its own; it may stand beside the glob.";
      const at = [...path, "to"];
      problems.push(fileProblem("config.invalid", message, source.line(at), at, { fix }));
    }
    return problems;
  });
}

/** One slot serves all tasks of a source, so they snapshot and stream alike. */
function modeProblems(document: PipelineDocument, source: YamlSource): readonly FileProblem[] {
  const first = new Map<string, { readonly id: string; readonly mode: string }>();
  return Object.entries(document.tasks).flatMap(([id, task]) => {
    const mode = task.mode ?? defaults.mode;
    const other = first.get(task.from);
    if (other === undefined) first.set(task.from, { id, mode });
    if (other === undefined || other.mode === mode) return [];
    const path = ["tasks", id, "mode"];
    const message = `The tasks \`${other.id}\` and \`${id}\` read from the same source in different modes.`;
    const fix = "Give them the same mode, or put one into a pipeline file of its own.";
    return [fileProblem("task.table_conflict", message, source.line(path), path, { fix })];
  });
}

interface Listed {
  readonly task: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly pattern: TablePattern;
  readonly target: string;
  readonly partitions: number;
  readonly path: FilePath;
}

/** Conflicts that show without asking the source: those between names and patterns as they are written. */
function sharedTableProblems(document: PipelineDocument, source: YamlSource): readonly FileProblem[] {
  const listed = Object.entries(document.tasks).flatMap(([id, task]) =>
    task.objects.map((object, index): Listed => ({
      task: id,
      from: task.from,
      to: task.to,
      pattern: new TablePattern(object.table),
      target: object.to ?? object.table,
      partitions: task.sync?.partitions ?? defaults.partitions,
      path: ["tasks", id, "objects", index],
    })),
  );
  return listed.flatMap((later, index) => {
    const message = listed
      .slice(0, index)
      .map((earlier) => conflict(earlier, later))
      .find((found) => found !== null);
    return message === undefined || message === null
      ? []
      : [fileProblem("task.table_conflict", message, source.line(later.path), later.path)];
  });
}

function conflict(earlier: Listed, later: Listed): string | null {
  const tasks =
    earlier.task === later.task
      ? `The task \`${later.task}\``
      : `The tasks \`${earlier.task}\` and \`${later.task}\` both`;
  const sameTask = earlier.task === later.task;
  const shared = earlier.to.find((target) => later.to.includes(target));
  const bothExact = !earlier.pattern.isGlob && !later.pattern.isGlob;
  // Within a task an exact name takes a table out of a glob, so only two exact names can meet.
  if (shared !== undefined && earlier.target === later.target && (bothExact || !sameTask)) {
    if (earlier.pattern.text === later.pattern.text && sameTask) return null;
    return `${tasks}${sameTask ? " writes" : " write"} ${shown(later.target)} in the target \`${shared}\`${sameTask ? " twice" : ""}.`;
  }
  const sameTable = earlier.from === later.from && overlap(earlier.pattern, later.pattern);
  if (!sameTask && sameTable && earlier.partitions !== later.partitions) {
    return `${tasks} read ${shown(later.pattern.text)} from \`${later.from}\`, with different \`partitions\`: a table has one topic.`;
  }
  return null;
}

/** True when one names a table that the other matches. Two different globs are compared when the tables are known. */
function overlap(left: TablePattern, right: TablePattern): boolean {
  if (left.text === right.text) return true;
  return (right.exact !== null && left.matches(right.exact)) || (left.exact !== null && right.matches(left.exact));
}
