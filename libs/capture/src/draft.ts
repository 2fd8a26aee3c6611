import type { EncodedEvent, Operation } from "@datatrace/avro";
import { headers, type LogHeaders, type LogRecord, type Position } from "@datatrace/core";
import type { CapturedTable } from "./captured-table.ts";

/** Rows of one append by table and operation. */
export type OperationCounts = Record<Operation, number>;

/**
 * The append in the making: the records of whole source batches, and the position after them. One draft is filled while
 * the one before it is being appended.
 */
export class Draft {
  readonly records: LogRecord[] = [];
  readonly counts = new Map<CapturedTable, OperationCounts>();
  /** Events, tombstones left out. */
  rows = 0;
  sizeBytes = 0;
  /** After the last batch; null when no batch has ended in this draft. */
  position: Position | null = null;
  /** Commit time of the last transaction in it, 0 when there is none. */
  commitTsUs = 0;

  /** One event. `extra` is merged into the headers that the encoder gave. */
  event(table: CapturedTable, op: Operation, event: EncodedEvent): void {
    this.#push(table, event, event.value, event.headers);
    this.rows += 1;
    this.sizeBytes += event.value.length;
    let counts = this.counts.get(table);
    if (counts === undefined) this.counts.set(table, (counts = { c: 0, u: 0, d: 0, r: 0 }));
    counts[op] += 1;
  }

  /** Follows the delete of the same key. */
  tombstone(table: CapturedTable, deleted: EncodedEvent): void {
    this.#push(table, deleted, null, noHeaders);
  }

  #push(table: CapturedTable, { key, keyHash }: EncodedEvent, value: Uint8Array | null, given: LogHeaders): void {
    const partition = keyHash % table.partitions;
    this.records.push(
      given === noHeaders
        ? { topic: table.topic, partition, key, value }
        : { topic: table.topic, partition, key, value, headers: given },
    );
    this.sizeBytes += key?.length ?? 0;
  }
}

const noHeaders: LogHeaders = {};

/** A full row of this key will follow for every delivery. */
export const rowFollows: LogHeaders = { [headers.rFollows]: "*" };
