import { dataTopic, DataTraceError, tableId } from "@datatrace/core";
import type { Logger, TableName } from "@datatrace/core";
import type { TableSelection } from "@datatrace/capture";
import type { Pipeline } from "@datatrace/runtime";
import { deliveryId, topicPrefix } from "../part-names.ts";
import { partitionsOf, tableFindings, targetFor, tasksOf, wanted } from "../task-tables.ts";
import type { LocatedFinding } from "../task-tables.ts";

/**
 * Which tables the captures of a pipeline take. What is wrong at the first look of a process stops it; what comes up
 * later, when somebody creates a table that meets another one, leaves only that table out: the others go on.
 */
export class TableChoice {
  readonly #pipeline: Pipeline;
  readonly #logger: Logger;
  readonly #existing = new Map<string, readonly TableName[]>();
  /** `source: schema.table` of what is captured. */
  readonly #taken = new Set<string>();
  readonly #looked = new Set<string>();
  readonly #said = new Set<string>();

  /** `captured`: the tables that earlier runs have captured, by source. */
  constructor(pipeline: Pipeline, captured: ReadonlyMap<string, readonly TableName[]>, logger: Logger) {
    this.#pipeline = pipeline;
    this.#logger = logger;
    for (const [source, tables] of captured) {
      this.#existing.set(source, tables);
      for (const table of tables) this.#taken.add(place(source, table));
    }
  }

  /** For the capture of one source. Its `select` throws `source.table_missing` or `task.*` for what must stop the run. */
  of(source: string): TableSelection {
    return {
      select: (all) => this.#select(source, all),
      partitions: (table) => partitionsOf(this.#pipeline, source, table),
    };
  }

  /** Groups of the deliveries that want the table of this data topic. */
  groupsOf(source: string, topic: string): readonly string[] {
    const table = this.#existing.get(source)?.find((one) => dataTopic(topicPrefix(this.#pipeline), one) === topic);
    if (table === undefined) return [];
    return tasksOf(this.#pipeline, source)
      .filter((task) => targetFor(task, table) !== null)
      .flatMap((task) => task.to.map((target) => deliveryId(this.#pipeline, task.id, target)));
  }

  #select(source: string, all: readonly TableName[]): readonly TableName[] {
    this.#existing.set(source, all);
    const mine = new Set(tasksOf(this.#pipeline, source).flatMap(({ objects }) => objects.map(({ line }) => line)));
    const found = tableFindings(this.#pipeline, this.#existing, (from, table) => this.#taken.has(place(from, table)))
      // Only what concerns this source: the others look for themselves.
      .filter(({ line }) => mine.has(line));
    const first = !this.#looked.has(source);
    const refused = new Set<string>();
    for (const finding of found) {
      if (finding.severity === "error" && (first || finding.code === "source.table_missing")) {
        // A table that is new since the last run, and meets another one, must not keep the others from going on.
        if (!this.#isNewcomer(source, finding)) throw errorOf(finding, this.#pipeline.file);
      }
      if (finding.severity === "error" && finding.table !== undefined) refused.add(finding.table);
      this.#say(finding);
    }
    this.#looked.add(source);
    const chosen = all.filter((table) => wanted(this.#pipeline, source, table) && !refused.has(tableId(table)));
    for (const table of chosen) this.#taken.add(place(source, table));
    return chosen;
  }

  #isNewcomer(source: string, { code, table }: LocatedFinding): boolean {
    const continues = [...this.#taken].some((taken) => taken.startsWith(`${source}: `));
    return code !== "source.table_missing" && continues && !this.#taken.has(`${source}: ${table}`);
  }

  #say({ severity, code, message, fix, line }: LocatedFinding): void {
    if (this.#said.has(message)) return;
    this.#said.add(message);
    const fields = { code, message, fix, file: this.#pipeline.file, line };
    if (severity === "error") this.#logger.error("table left out", fields);
    else this.#logger.warn("tables do not match", fields);
  }
}

function place(source: string, table: TableName): string {
  return `${source}: ${tableId(table)}`;
}

function errorOf({ code, message, fix, line }: LocatedFinding, file: string): DataTraceError {
  return new DataTraceError(code, { message, fix, detail: { at: `${file}:${line}` } });
}
