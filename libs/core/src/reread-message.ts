import { Buffer } from "node:buffer";
import type { RereadRequest } from "./sink.ts";

/**
 * A request on `rereadsTopic`, as a sink's runtime writes it and the capture reads it. The record's key is the request
 * itself, so that compaction keeps one per row asked for; its value only says that it is open. The capture answers by a
 * full `r` row of that key (or by nothing, when the row is gone), and appends a tombstone of the same record key. A
 * request that is repeated meanwhile is answered again, which does no harm.
 */
const open = new TextEncoder().encode("{}");

/** Key of the request's record: UTF-8 JSON `[topic, Avro key as in the log, in base64]`. */
export function rereadMessageKey(request: RereadRequest): Uint8Array {
  return new TextEncoder().encode(JSON.stringify([request.topic, Buffer.from(request.key).toString("base64")]));
}

/** Value of a request's record that is still open. */
export function rereadMessageValue(): Uint8Array {
  return open;
}

/** Reads the key of a record of `rereadsTopic`; null when it is not one of ours. */
export function parseRereadMessageKey(key: Uint8Array): RereadRequest | null {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(key));
    if (!Array.isArray(parsed) || parsed.length !== 2) return null;
    const [topic, body] = parsed as readonly unknown[];
    if (typeof topic !== "string" || typeof body !== "string") return null;
    return { topic, key: Uint8Array.from(Buffer.from(body, "base64")) };
  } catch {
    return null;
  }
}
