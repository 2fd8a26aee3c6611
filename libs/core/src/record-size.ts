import type { StoredRecord } from "./event-log.ts";

/** Bytes of the records' keys and values. */
export function sizeOfRecords(records: readonly StoredRecord[]): number {
  let sizeBytes = 0;
  for (const { key, value } of records) sizeBytes += (key?.length ?? 0) + (value?.length ?? 0);
  return sizeBytes;
}
