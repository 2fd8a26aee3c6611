import type { LogRecord } from "@datatrace/core";

import { sized, writeFrame } from "./record-frame.ts";
import type { SizedRecord } from "./record-frame.ts";

/**
 * A row of a data topic holds the records that one append put into one partition, up to this many bytes: large enough
 * that the cost per row vanishes, small enough to read one without holding much memory. A larger record has its own row.
 */
const rowLimitBytes = 1024 * 1024;

/** A run of records for one partition: a slice of the append's buffer. */
export interface AppendPart {
  readonly topic: string;
  readonly partition: number;
  readonly count: number;
  readonly start: number;
  readonly end: number;
}

export interface PackedAppend {
  readonly parts: readonly AppendPart[];
  /** Not pooled, so that its memory can be handed to another thread instead of copied. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface Row {
  readonly topic: string;
  readonly partition: number;
  readonly records: SizedRecord[];
  sizeBytes: number;
}

/** Frames the records of an append by partition, in the order given within each (I4). */
export function packAppend(records: readonly LogRecord[]): PackedAppend {
  const rows = rowsOf(records);
  const bytes = Buffer.allocUnsafeSlow(rows.reduce((sum, row) => sum + row.sizeBytes, 0));
  const parts: AppendPart[] = [];
  let at = 0;
  for (const row of rows) {
    const start = at;
    for (const record of row.records) at = writeFrame(bytes, at, record);
    parts.push({ topic: row.topic, partition: row.partition, count: row.records.length, start, end: at });
  }
  return { parts, bytes };
}

function rowsOf(records: readonly LogRecord[]): Row[] {
  const rows: Row[] = [];
  const open = new Map<string, (Row | undefined)[]>();
  let last: Row | undefined;
  for (const record of records) {
    const measured = sized(record);
    let row = last;
    if (row === undefined || row.topic !== record.topic || row.partition !== record.partition) {
      row = open.get(record.topic)?.[record.partition];
    }
    if (row === undefined || row.sizeBytes + measured.sizeBytes > rowLimitBytes) {
      row = { topic: record.topic, partition: record.partition, records: [], sizeBytes: 0 };
      rows.push(row);
      let partitions = open.get(record.topic);
      if (partitions === undefined) {
        partitions = [];
        open.set(record.topic, partitions);
      }
      partitions[record.partition] = row;
    }
    row.records.push(measured);
    row.sizeBytes += measured.sizeBytes;
    last = row;
  }
  return rows;
}
