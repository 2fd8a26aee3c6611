import type { PublishedTable, StoredRecord, TableSchema } from "@datatrace/core";
import { parsePublishedTable } from "@datatrace/core";
import type { JsonCell } from "./key-cells.ts";
import type { StoredScan } from "./table-scan.ts";

/** A table's record in the state topic: what everyone may read, and what the capture needs to go on. */
export interface TableRecord extends PublishedTable {
  /** `TopicIdentity.epoch`; null for a table that was refused before it had a topic. */
  readonly epoch: number | null;
  /** The stream carries the table: should it be found not to, changes were lost. */
  readonly followed: boolean;
  /** Published versions, oldest first; the first is the newest that the stream has shown. */
  readonly versions: readonly TableSchema[];
  /** Readings of the table that are not complete; the first is under way. */
  readonly scans: readonly StoredScan[];
  /** Keys to read again, each as its key cells. */
  readonly rereads: readonly (readonly JsonCell[])[];
  /** Last offset per partition when the record was written: the topic has at least these. */
  readonly last: readonly (readonly [partition: number, offset: string])[];
}

export function encodeTable(record: TableRecord): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(record));
}

/** The tables' records among those of the state topic. */
export function storedTables(records: readonly StoredRecord[]): readonly TableRecord[] {
  return records.flatMap(({ key, value }) => {
    const table = parsePublishedTable(key, value);
    return table === null ? [] : [table as TableRecord];
  });
}
