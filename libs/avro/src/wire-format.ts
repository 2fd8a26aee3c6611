import { Buffer } from "node:buffer";
import { murmur2 } from "./murmur2.ts";

/** First byte of every key and value: Confluent's wire format, then four bytes of schema id, big-endian. */
export const magicByte = 0;
export const wireHeaderBytes = 5;

/**
 * An equality key for maps: two keys of a table are the same key exactly when these are the same text. The schema id is
 * left out, as it is from the partition: a new version of the key's schema does not make another key. Takes a key as it
 * stands in the log. Not for people to read; holds the key's values, so keep it out of logs (I8).
 */
export function keyIdentity(key: Uint8Array): string {
  return bodyIdentity(key, wireHeaderBytes);
}

export function bodyIdentity(bytes: Uint8Array, start: number): string {
  return asBuffer(bytes).toString("latin1", start);
}

/** The partition of a key as it stands in the log: Kafka's default partitioner over the key without its header. */
export function partitionOfKey(key: Uint8Array, partitions: number): number {
  return keyHash(key, wireHeaderBytes) % partitions;
}

export function keyHash(bytes: Uint8Array, start: number): number {
  return murmur2(bytes, start) & 0x7f_ff_ff_ff;
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
