import { DataTraceError } from "@datatrace/core";
import type { LogHeaders, LogRecord, StoredRecord } from "@datatrace/core";

// One record: three little-endian 32-bit lengths (key, value, headers; `absent` for a null), then the bytes in that
// order. Headers are a JSON object. Frames stand one after the other, so two runs of records join by concatenation.
const prefixBytes = 12;
const absent = 0xffff_ffff;
const noHeaders: LogHeaders = Object.freeze({});

/** A record on its way into a frame, with its size known. */
export interface SizedRecord {
  readonly record: LogRecord;
  readonly headers: Buffer | null;
  readonly sizeBytes: number;
}

/** Measures a record, so that the buffer of a whole append can be allocated once. */
export function sized(record: LogRecord): SizedRecord {
  const headers = record.headers === undefined ? null : encodeHeaders(record.headers);
  const sizeBytes =
    prefixBytes + (record.key?.byteLength ?? 0) + (record.value?.byteLength ?? 0) + (headers?.byteLength ?? 0);
  return { record, headers, sizeBytes };
}

/** Writes the frame at `at` and returns where it ends. */
export function writeFrame(target: Buffer, at: number, { record, headers }: SizedRecord): number {
  const { key, value } = record;
  target.writeUInt32LE(key === null ? absent : key.byteLength, at);
  target.writeUInt32LE(value === null ? absent : value.byteLength, at + 4);
  target.writeUInt32LE(headers === null ? 0 : headers.byteLength, at + 8);
  let end = at + prefixBytes;
  if (key !== null) {
    target.set(key, end);
    end += key.byteLength;
  }
  if (value !== null) {
    target.set(value, end);
    end += value.byteLength;
  }
  if (headers !== null) {
    target.set(headers, end);
    end += headers.byteLength;
  }
  return end;
}

/** Where the parts of one frame lie. `keyEnd === keyStart` with `keyNull` tells an empty key from none. */
export interface FrameBounds {
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly keyNull: boolean;
  readonly valueNull: boolean;
  readonly valueEnd: number;
  readonly end: number;
}

/** @throws DataTraceError `log.corrupt` when the lengths do not fit into the bytes. */
export function frameBounds(frames: Buffer, at: number): FrameBounds {
  if (at + prefixBytes > frames.byteLength) throw new DataTraceError("log.corrupt", { detail: { at: "frame" } });
  const keyLength = frames.readUInt32LE(at);
  const valueLength = frames.readUInt32LE(at + 4);
  const keyStart = at + prefixBytes;
  const keyEnd = keyLength === absent ? keyStart : keyStart + keyLength;
  const valueEnd = valueLength === absent ? keyEnd : keyEnd + valueLength;
  const end = valueEnd + frames.readUInt32LE(at + 8);
  if (end > frames.byteLength) throw new DataTraceError("log.corrupt", { detail: { at: "frame" } });
  return { keyStart, keyEnd, keyNull: keyLength === absent, valueNull: valueLength === absent, valueEnd, end };
}

/**
 * Records of one partition as they travel from the log's thread: frames, and the offset of each. Consecutive offsets
 * need only the first.
 */
export interface RecordRun {
  readonly base: bigint;
  readonly count: number;
  /** Null when offset i is `base + i`. */
  readonly offsets: BigInt64Array | null;
  readonly frames: Uint8Array;
}

/** The records of a run from offset `from` on, as views into its bytes. */
export function recordsOf(run: RecordRun, from: bigint): StoredRecord[] {
  const frames = Buffer.from(run.frames.buffer, run.frames.byteOffset, run.frames.byteLength);
  const records: StoredRecord[] = [];
  let at = 0;
  for (let index = 0; index < run.count; index += 1) {
    const offset = run.offsets?.[index] ?? run.base + BigInt(index);
    if (offset >= from) records.push(new FramedRecord(offset, frames, at));
    at = frameBounds(frames, at).end;
  }
  return records;
}

/**
 * A record that still is its frame. Its parts are made anew with each look: thousands of records wait for their turn,
 * and a view costs more memory than a small value.
 */
class FramedRecord implements StoredRecord {
  readonly offset: bigint;
  readonly #frames: Buffer;
  readonly #at: number;

  constructor(offset: bigint, frames: Buffer, at: number) {
    this.offset = offset;
    this.#frames = frames;
    this.#at = at;
  }

  get key(): Uint8Array | null {
    const start = this.#at + prefixBytes;
    const length = this.#frames.readUInt32LE(this.#at);
    return length === absent ? null : this.#frames.subarray(start, start + length);
  }

  get value(): Uint8Array | null {
    const start = this.#valueStart;
    const length = this.#frames.readUInt32LE(this.#at + 4);
    return length === absent ? null : this.#frames.subarray(start, start + length);
  }

  /** @throws DataTraceError `log.corrupt` */
  get headers(): LogHeaders {
    const length = this.#frames.readUInt32LE(this.#at + 8);
    if (length === 0) return noHeaders;
    const valueLength = this.#frames.readUInt32LE(this.#at + 4);
    const start = this.#valueStart + (valueLength === absent ? 0 : valueLength);
    return decodeHeaders(this.#frames.subarray(start, start + length));
  }

  get #valueStart(): number {
    const keyLength = this.#frames.readUInt32LE(this.#at);
    return this.#at + prefixBytes + (keyLength === absent ? 0 : keyLength);
  }
}

function encodeHeaders(headers: LogHeaders): Buffer | null {
  for (const _ in headers) return Buffer.from(JSON.stringify(headers), "utf8");
  return null;
}

function decodeHeaders(bytes: Buffer): LogHeaders {
  try {
    return JSON.parse(bytes.toString("utf8")) as LogHeaders;
  } catch (cause) {
    throw new DataTraceError("log.corrupt", { cause, detail: { at: "headers" } });
  }
}
