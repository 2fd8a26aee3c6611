import {
  type CaptureSource,
  DataTraceError,
  dataTopic,
  type EventLog,
  failpoint,
  type Logger,
  type TableDescription,
  tableId,
  type TableName,
} from "@datatrace/core";
import type { CapturedTable } from "./captured-table.ts";
import type { TableSet } from "./table-set.ts";
import type { TableVersion } from "./table-version.ts";

/** Which tables a capture is of. */
export interface TableSelection {
  /** The tables of `all` that are wanted. `all` may hold tables that are gone: would they be wanted? */
  select(all: readonly TableName[]): readonly TableName[];
  /** Partitions of the table's topic. Fixed when it is made. */
  partitions(table: TableName): number;
}

export interface CatalogOptions {
  readonly source: CaptureSource;
  readonly log: EventLog;
  readonly tables: TableSet;
  readonly selection: TableSelection;
  readonly prefix: string;
  /** Tables are read when they join. */
  readonly snapshot: boolean;
  readonly logger: Logger;
}

const describeAttempts = 3;

/** Brings the captured tables, and what the stream carries, in line with the source's tables and the selection. */
export class Catalog {
  readonly #options: CatalogOptions;

  constructor(options: CatalogOptions) {
    this.#options = options;
  }

  /**
   * One look: tables that joined, left, were dropped, or have another shape. Resolves true when tables have joined.
   * @throws DataTraceError `log.partitions_changed` when the selection wants another partition count than a topic has.
   */
  async refresh(signal: AbortSignal): Promise<boolean> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#refresh(signal);
      } catch (error) {
        // A table was dropped between the list and the description.
        const vanished = error instanceof DataTraceError && error.code === "source.table_missing";
        if (!vanished || attempt === describeAttempts) throw error;
      }
    }
  }

  async #refresh(signal: AbortSignal): Promise<boolean> {
    const { source, tables, selection, logger } = this.#options;
    const existing = await source.listTables(signal);
    const ids = new Set(existing.map(tableId));
    const gone = [...tables.all()].filter((table) => !ids.has(table.id));
    const wanted = new Map(
      selection.select([...existing, ...gone.map((table) => table.name)]).map((name) => [tableId(name), name]),
    );
    for (const table of tables.all()) {
      if (!wanted.has(table.id)) {
        tables.remove(table);
        logger.info("table left the capture", { table: table.id });
      } else if (table.epoch !== null && selection.partitions(table.name) !== table.partitions) {
        throw partitionsChanged(table, selection.partitions(table.name));
      }
    }
    for (const table of gone) {
      if (table.publishes) {
        tables.park(table, new DataTraceError("source.table_missing", { detail: { table: table.id } }));
      }
      wanted.delete(table.id);
    }
    const before = new Map<string, TableVersion | undefined>();
    const described: TableName[] = [];
    for (const [id, name] of wanted) {
      const table = tables.get(name);
      // One that was refused before it had a topic is looked at again: the reason may be gone.
      if (table !== undefined && table.epoch !== null && !table.publishes) continue;
      before.set(id, table?.version);
      described.push(name);
    }
    let joined = false;
    if (described.length > 0) {
      for (const description of await source.describeTables(described, signal)) {
        const table = tables.get(description.schema.name);
        if (table === undefined || table.epoch === null) joined = (await this.#admit(description, signal)) || joined;
        else await this.#compare(table, description, before.get(table.id), signal);
      }
    }
    await this.#publish(signal);
    return joined;
  }

  async #admit({ schema, estimatedRows, findings }: TableDescription, signal: AbortSignal): Promise<boolean> {
    const { log, tables, selection, prefix, snapshot, logger } = this.#options;
    const { name } = schema;
    const topic = dataTopic(prefix, name);
    const partitions = selection.partitions(name);
    try {
      const [finding] = findings.filter((each) => each.severity === "error");
      if (finding !== undefined) {
        const { code, message, fix } = finding;
        throw new DataTraceError(code, { message, fix, detail: { table: tableId(name) } });
      }
      const owner = tables.ofTopic(topic);
      if (owner !== undefined) {
        throw new DataTraceError("task.table_conflict", {
          message: "Two tables would share a topic.",
          fix: "Rename one of the tables, or capture it under another prefix.",
          detail: { table: tableId(name), other: owner.id, topic },
        });
      }
      const { epoch } = await log.ensureTopic({ name: topic, partitions, cleanup: "delete" }, signal);
      const table = await tables.add({ name, topic, partitions, epoch }, schema, signal);
      table.estimatedRows = Math.max(0, estimatedRows);
      if (snapshot) table.readWhole();
      else table.phase = "streaming";
      logger.info("table joined the capture", { table: table.id, topic, partitions });
      return true;
    } catch (error) {
      if (!(error instanceof DataTraceError) || error.retry !== "operator") throw error;
      const known = tables.get(name);
      if (known?.error?.code === error.code) return false;
      const table = await tables.add({ name, topic, partitions, epoch: null }, null, signal);
      tables.park(table, error);
      return false;
    }
  }

  /** `before` is the version that was the newest when the description was asked for. */
  async #compare(
    table: CapturedTable,
    { schema, estimatedRows, findings }: TableDescription,
    before: TableVersion | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { tables } = this.#options;
    if (!table.publishes) return;
    if (table.snapshotOpen) table.estimatedRows = Math.max(0, estimatedRows);
    const [finding] = findings.filter((each) => each.severity === "error");
    if (finding !== undefined) {
      const { code, message, fix } = finding;
      tables.park(table, new DataTraceError(code, { message, fix, detail: { table: table.id } }));
    } else if (table.version === before) {
      // Otherwise the stream has overtaken the description: the next look compares.
      await tables.bind(schema, "catalog", signal);
    }
  }

  async #publish(signal: AbortSignal): Promise<void> {
    const { source, tables } = this.#options;
    const wanted = [...tables.all()].filter((table) => table.publishes);
    let missed: ReadonlySet<string>;
    try {
      const added = await source.publish(
        wanted.map((table) => table.name),
        signal,
      );
      missed = new Set(added.map(tableId));
    } catch (error) {
      this.#refuse(wanted, error);
      return;
    }
    if (wanted.some((table) => !table.followed)) failpoint("capture.after_add_table");
    for (const table of wanted) {
      if (!table.publishes) continue;
      if (!table.followed) {
        table.followed = true;
        tables.touch(table);
      } else if (missed.has(table.id)) {
        // Changes since then are in no stream: going on would leave a gap (I3).
        tables.park(table, notCarried(table));
      }
    }
  }

  /** The stream cannot be made to carry the tables that are new: they stop, the others go on. */
  #refuse(wanted: readonly CapturedTable[], error: unknown): void {
    const fresh = wanted.filter((table) => !table.followed);
    const own = error instanceof DataTraceError && error.retry === "operator" && error.code.startsWith("source.");
    if (!own || fresh.length === 0) throw error;
    for (const table of fresh) {
      const named = error.detail["table"];
      if (named === undefined || named === table.id) this.#options.tables.park(table, error);
    }
  }
}

function partitionsChanged(table: CapturedTable, wanted: number): DataTraceError {
  return new DataTraceError("log.partitions_changed", {
    detail: { table: table.id, topic: table.topic, partitions: table.partitions, wanted },
  });
}

function notCarried(table: CapturedTable): DataTraceError {
  return new DataTraceError("source.history_lost", {
    message: "The source's stream did not carry the table for a while. Only this table has stopped.",
    fix: "Take the table out of the pipeline, drop the target table, and add it again: it is read anew.",
    detail: { table: table.id },
  });
}
