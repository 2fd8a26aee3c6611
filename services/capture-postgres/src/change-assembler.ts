import { DataTraceError, invariant, tableId } from "@datatrace/core";
import type { SourceBatch, SourceEvent, TableName, TableSchema } from "@datatrace/core";
import {
  MalformedText,
  UnexpectedNull,
  UnknownLabel,
  formatLsn,
  isTransactionalMessage,
  pgoutputTag,
  readBegin,
  readCommit,
  readLogicalMessage,
  readRelation,
  readTruncate,
  widenTransactionId,
} from "@datatrace/postgres";
import type { Catalog, Lsn, RelationMessage } from "@datatrace/postgres";
import { BatchBuilder } from "./batch-builder.ts";
import type { BatchLimits } from "./batch-builder.ts";
import type { FollowedTable, FollowedTables } from "./followed-tables.ts";
import { PendingLosses } from "./pending-losses.ts";
import { shapeError } from "./relation-shape.ts";
import { decodeRow, originOf } from "./row-event.ts";
import type { OpenTransaction, StreamPosition } from "./stream-position.ts";
import { StreamTransaction } from "./stream-transaction.ts";

export interface AssemblerOptions {
  readonly from: StreamPosition;
  readonly tables: FollowedTables;
  readonly limits: BatchLimits;
  readonly watermarkPrefix: string;
  /** A 64-bit transaction id of now. */
  readonly nearTxId: bigint;
}

interface Held {
  readonly message: Buffer;
  readonly walStart: number;
}

/**
 * Makes source events of pgoutput messages, and keeps the position. What needs the catalog first (`wanted`) holds
 * everything behind it, in order, until `resolve`.
 */
export class ChangeAssembler {
  readonly #options: AssemblerOptions;
  readonly #tables: FollowedTables;
  readonly #batches: BatchBuilder;
  readonly #held: Held[] = [];
  readonly #toldLost = new Set<string>();
  readonly #losses = new PendingLosses();
  #nearTxId: bigint;
  #open: StreamTransaction | null = null;
  /** The transaction that the stream goes on inside of has not come yet. */
  #expected: OpenTransaction | null;
  #wanted: RelationMessage | null = null;
  /** The version whose enum labels were looked up last. */
  #labelsOf: TableSchema | null = null;

  constructor(options: AssemblerOptions) {
    this.#options = options;
    this.#tables = options.tables;
    this.#batches = new BatchBuilder(options.limits, options.from.end);
    this.#nearTxId = options.nearTxId;
    this.#expected = options.from.open;
  }

  /** Nothing can go on before `resolve` is given the catalog of this table. */
  get wanted(): RelationMessage | null {
    return this.#wanted;
  }

  get isFull(): boolean {
    return this.#batches.isFull || this.#wanted !== null;
  }

  /** How far the stream has come, whole transactions only. */
  get end(): Lsn {
    return this.#batches.end;
  }

  /** How far the positions that were given out have come. */
  get given(): Lsn {
    return this.#batches.given;
  }

  /** Takes a pgoutput message. The buffer is not kept. */
  feed(message: Buffer, walStart: number): void {
    if (this.#wanted === null) this.#apply(message, walStart);
    else this.#held.push({ message: Buffer.from(message), walStart });
  }

  /** Everything before `walEnd` has been sent. */
  keepAlive(walEnd: Lsn): void {
    if (!this.#isBetween) return;
    this.#batches.close(walEnd);
    this.#passOnLosses();
  }

  resolve(catalog: Catalog): void {
    const relation = this.#wanted;
    invariant(relation !== null, "a catalog is given to who wants it");
    this.#wanted = null;
    const schema = this.#tables.get(relation.oid)?.schema;
    this.#follow(this.#tables.resolve(relation, catalog, schema !== undefined && schema === this.#labelsOf));
    const held = this.#held.splice(0);
    for (const { message, walStart } of held) this.feed(message, walStart);
  }

  /** The catalog says that this table cannot be followed beyond `after`. */
  lose(table: TableName, error: DataTraceError, after: Lsn): void {
    this.#losses.add({ table, error }, after);
    if (this.#isBetween) this.#passOnLosses();
  }

  take(): SourceBatch | null {
    return this.#batches.take();
  }

  takeIdle(): SourceBatch | null {
    return this.#isBetween ? this.#batches.takeIdle() : null;
  }

  /** No transaction is open, and nothing is held back. */
  get #isBetween(): boolean {
    return this.#wanted === null && this.#open === null && this.#expected === null;
  }

  #apply(message: Buffer, walStart: number): void {
    switch (message[0]) {
      case pgoutputTag.begin:
        return this.#begin(message);
      case pgoutputTag.commit:
        return this.#commit(message);
      case pgoutputTag.relation:
        return this.#relation(readRelation(message));
      case pgoutputTag.insert:
      case pgoutputTag.update:
      case pgoutputTag.delete:
        return this.#row(message, walStart);
      case pgoutputTag.truncate:
        return this.#truncate(message, walStart);
      case pgoutputTag.message:
        return this.#message(message);
      case pgoutputTag.origin:
      case pgoutputTag.type:
        return undefined;
      case undefined:
      default:
        throw new DataTraceError("source.decode_failed", { detail: { tag: message[0] ?? -1 } });
    }
  }

  #begin(message: Buffer): void {
    const begin = readBegin(message);
    const expected = this.#expected;
    if (expected !== null && expected.commit !== begin.commitLsn) {
      throw new DataTraceError("source.history_lost", {
        message: "The transaction that the stored position lies in is not sent any more.",
        detail: { expected: formatLsn(expected.commit), received: formatLsn(begin.commitLsn) },
      });
    }
    this.#expected = null;
    const txId = widenTransactionId(begin.xid, this.#nearTxId);
    if (txId > this.#nearTxId) this.#nearTxId = txId;
    this.#open = new StreamTransaction(begin, txId, expected?.index ?? 0);
  }

  #commit(message: Buffer): void {
    const open = this.#transaction();
    const { endLsn } = readCommit(message);
    if (open.isBehind) {
      throw new DataTraceError("source.history_lost", {
        message: "The transaction that the stored position lies in has fewer changes than were delivered of it.",
      });
    }
    // Of a transaction that was delivered in part, the end is news even without a further change.
    if (open.isContinued) this.#beginOnce(open);
    if (open.begun) this.#batches.add({ kind: "commit", txId: open.txId });
    this.#open = null;
    this.#batches.close(endLsn);
    this.#passOnLosses();
  }

  #relation(relation: RelationMessage): void {
    const table = this.#tables.offer(relation);
    if (table === null) this.#wanted = relation;
    else this.#follow(table);
  }

  #follow(table: FollowedTable): void {
    if (table.lost !== null) this.#tellLost(table.name, table.lost);
  }

  /** Once. Not counted: a stream that goes on here finds out again. */
  #tellLost(table: TableName, error: DataTraceError): void {
    const id = tableId(table);
    if (this.#toldLost.has(id)) return;
    this.#toldLost.add(id);
    this.#batches.add({ kind: "table-lost", table, error });
  }

  #row(message: Buffer, walStart: number): void {
    const open = this.#transaction();
    if (open.count()) return;
    const table = this.#tables.get(message.readUInt32BE(1));
    if (table === undefined)
      throw new DataTraceError("source.decode_failed", { message: "A row of an unknown table." });
    if (table.lost !== null) return this.#tellLost(table.name, table.lost);
    try {
      this.#emit(open, decodeRow(message, table, originOf(open, table.name, walStart)), message.length);
    } catch (error) {
      this.#retryRow(error, open, table, { message, walStart });
    }
  }

  /** What the table's version did not know is learnt, and the row decoded again. */
  #retryRow(error: unknown, open: StreamTransaction, table: FollowedTable, held: Held): void {
    open.uncount();
    if (error instanceof UnexpectedNull) {
      this.#tables.relax(table, error.column);
      this.#row(held.message, held.walStart);
    } else if (error instanceof UnknownLabel && this.#labelsOf === table.schema) {
      // The catalog of now does not have it either.
      const what = "a label of an enum was renamed or removed";
      this.#tables.loseByName(table.name, shapeError("source.schema_change_unsupported", table.name, what));
      this.#row(held.message, held.walStart);
    } else if (error instanceof UnknownLabel) {
      this.#labelsOf = table.schema;
      this.#wanted = table.relation;
      this.#held.push({ message: Buffer.from(held.message), walStart: held.walStart });
    } else if (error instanceof MalformedText || error instanceof RangeError) {
      const detail = { table: tableId(table.name), lsn: formatLsn(BigInt(held.walStart)) };
      throw new DataTraceError("source.decode_failed", { detail });
    } else {
      throw error;
    }
  }

  #truncate(message: Buffer, walStart: number): void {
    const open = this.#transaction();
    if (open.count()) return;
    const tables = readTruncate(message)
      .map((oid) => this.#tables.get(oid))
      .filter((table) => table !== undefined && table.lost === null)
      .map((table) => table?.name)
      .filter((name) => name !== undefined);
    const [first] = tables;
    if (first === undefined) return;
    this.#emit(open, { kind: "truncate", tables, origin: originOf(open, first, walStart) }, message.length);
  }

  #message(message: Buffer): void {
    // One that is not transactional comes when it was written, between transactions, and again after a restart.
    if (!isTransactionalMessage(message)) return;
    const open = this.#transaction();
    if (open.count()) return;
    const { prefix, content } = readLogicalMessage(message);
    if (prefix !== this.#options.watermarkPrefix) return;
    this.#emit(open, { kind: "watermark", id: content }, message.length);
  }

  #emit(open: StreamTransaction, event: SourceEvent, sizeBytes: number): void {
    this.#beginOnce(open);
    this.#batches.add(event, sizeBytes);
    this.#batches.mark(open);
  }

  #beginOnce(open: StreamTransaction): void {
    if (open.begun) return;
    open.begun = true;
    this.#batches.add({ kind: "begin", txId: open.txId, commitTsUs: open.commitTsUs });
  }

  #transaction(): StreamTransaction {
    if (this.#open === null) {
      throw new DataTraceError("source.decode_failed", { message: "A change outside of a transaction." });
    }
    return this.#open;
  }

  #passOnLosses(): void {
    for (const { table, error } of this.#losses.take(this.#batches.end)) {
      this.#tables.loseByName(table, error);
      this.#tellLost(table, error);
      this.#batches.close(this.#batches.end);
    }
  }
}
