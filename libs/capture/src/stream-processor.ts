import { UnexpectedNull } from "@datatrace/avro";
import {
  DataTraceError,
  type RowChange,
  type SourceBatch,
  type SourceEvent,
  type TableName,
  type TableSchema,
} from "@datatrace/core";
import type { Draft } from "./draft.ts";
import { EventWriter } from "./event-writer.ts";
import { refusesSchema } from "./stop-reason.ts";
import type { TableBinding, TableSet } from "./table-set.ts";
import type { UnseenTransactions } from "./unseen-transactions.ts";
import type { Watermarks } from "./watermarks.ts";

/** Turns batches of the source into records of a draft. Hot: nothing is awaited but for schemas, chunks and trouble. */
export class StreamProcessor {
  readonly #tables: TableSet;
  readonly #unseen: UnseenTransactions;
  readonly #watermarks: Watermarks;
  readonly #writer: EventWriter;
  /** Schemas of tables that are not captured. Their changes are passed over. */
  #foreign = new WeakSet<TableSchema>();
  #commitTsUs = 0;

  constructor(tables: TableSet, unseen: UnseenTransactions, watermarks: Watermarks) {
    this.#tables = tables;
    this.#unseen = unseen;
    this.#watermarks = watermarks;
    this.#writer = new EventWriter(tables);
  }

  /** The set of tables has changed: schemas passed over may belong to one of them now. */
  tablesChanged(): void {
    this.#foreign = new WeakSet();
  }

  /** Fills the draft with the whole batch. Nothing else may be done with the draft meanwhile. */
  async process(draft: Draft, batch: SourceBatch, signal: AbortSignal): Promise<void> {
    this.#writer.processedTsUs = Date.now() * 1000;
    for (const event of batch.events) {
      if (isRowChange(event)) {
        const binding = this.#tables.bound(event.schema);
        if (binding === undefined) await this.#bindAndWrite(draft, event, signal);
        else {
          const unexpected = this.#write(draft, binding, event);
          if (unexpected !== null) await this.#writeWithNull(draft, binding, event, unexpected, signal);
        }
      } else await this.#control(draft, event);
    }
    draft.position = batch.position;
  }

  async #bindAndWrite(draft: Draft, change: RowChange, signal: AbortSignal): Promise<void> {
    if (this.#foreign.has(change.schema)) return;
    const binding = await this.#tables.bind(change.schema, "stream", signal);
    if (binding === null) {
      this.#foreign.add(change.schema);
      return;
    }
    const unexpected = this.#write(draft, binding, change);
    if (unexpected !== null) await this.#writeWithNull(draft, binding, change, unexpected, signal);
  }

  /** Each round makes one more column nullable, so it ends. */
  async #writeWithNull(
    draft: Draft,
    binding: TableBinding,
    change: RowChange,
    unexpected: UnexpectedNull,
    signal: AbortSignal,
  ): Promise<void> {
    let next: UnexpectedNull | null = unexpected;
    while (next !== null) {
      try {
        await this.#tables.allowNull(binding, next.column, signal);
      } catch (error) {
        if (!refusesSchema(error)) throw error;
        this.#park(binding.table.name, error);
        return;
      }
      next = this.#write(draft, binding, change);
    }
  }

  /** A null where none was expected is the answer: nothing was written then. */
  #write(draft: Draft, binding: TableBinding, change: RowChange): UnexpectedNull | null {
    const { table, version } = binding;
    if (!table.publishes) return null;
    if (table.versions[0] !== version) this.#tables.shown(binding);
    try {
      this.#writer.write(draft, binding, change);
    } catch (error) {
      if (error instanceof UnexpectedNull) return error;
      if (!(error instanceof DataTraceError && error.code === "source.key_unsupported")) throw error;
      this.#tables.park(table, error);
    }
    return null;
  }

  async #control(draft: Draft, event: Exclude<SourceEvent, RowChange>): Promise<void> {
    switch (event.kind) {
      case "begin":
        this.#commitTsUs = event.commitTsUs;
        break;
      case "commit":
        this.#unseen.deliver(event.txId);
        draft.commitTsUs = this.#commitTsUs;
        break;
      case "watermark":
        await this.#watermarks.take(event.id)?.(draft);
        break;
      case "truncate":
        for (const name of event.tables) this.#park(name, truncated(name));
        break;
      case "table-lost":
        this.#park(event.table, event.error);
        break;
    }
  }

  #park(name: TableName, error: DataTraceError): void {
    const table = this.#tables.get(name);
    if (table?.publishes === true) this.#tables.park(table, error);
  }
}

function truncated({ schema, table }: TableName): DataTraceError {
  return new DataTraceError("source.truncate_unsupported", { detail: { table: `${schema}.${table}` } });
}

function isRowChange(event: SourceEvent): event is RowChange {
  return event.kind === "insert" || event.kind === "update" || event.kind === "delete";
}
