import type { StoredRecord } from "@datatrace/core";

/**
 * The record of the source's stream in a capture's state topic. `intent`: the stream is about to be made, or was made
 * and its first position stored. `finished`: a capture of mode `snapshot` is complete, its stream may be removed.
 */
export interface StreamRecord {
  readonly state: "intent" | "finished";
  /** `CaptureSource.identity` of the server that the stream belongs to. */
  readonly identity: string;
}

const key = "stream";
const text = new TextEncoder();

export const streamKey = text.encode(key);

export function encodeStream(record: StreamRecord): Uint8Array {
  return text.encode(JSON.stringify(record));
}

/** The stream's record among those of the state topic; null when there is none. */
export function storedStream(records: readonly StoredRecord[]): StreamRecord | null {
  const decoder = new TextDecoder();
  for (const record of records) {
    if (record.key !== null && record.value !== null && decoder.decode(record.key) === key) {
      return JSON.parse(decoder.decode(record.value)) as StreamRecord;
    }
  }
  return null;
}
