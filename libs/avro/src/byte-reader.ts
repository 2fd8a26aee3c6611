import { Buffer, isUtf8 } from "node:buffer";
import { asBuffer } from "./wire-format.ts";

/** The bytes are not what their schema says. `what` names a part, never a value (I8). */
export class CorruptBytes extends Error {
  constructor(what: string) {
    super(what);
    this.name = "CorruptBytes";
  }
}

/** Up to here a loop over characters beats the call into the runtime. */
const shortText = 10;
const maxVarintBytes = 10;
const replacement = "\uFFFD";

/**
 * Reads Avro binary. Every length is checked against what is left; a varint that runs over the end reads zeros, which
 * `finish` reports.
 */
export class ByteReader {
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  begin(bytes: Uint8Array, start: number): void {
    const buffer = asBuffer(bytes);
    this.#buffer = buffer;
    this.#at = start;
    this.#end = buffer.length;
  }

  /** @throws CorruptBytes unless exactly everything was read. */
  finish(): void {
    if (this.#at !== this.#end) throw new CorruptBytes(this.#at > this.#end ? "it is cut short" : "it is too long");
  }

  get at(): number {
    return this.#at;
  }

  /** Goes back to a place that was read before. */
  set at(place: number) {
    this.#at = place;
  }

  get left(): number {
    return this.#end - this.#at;
  }

  boolean(): boolean {
    const byte = this.#buffer[this.#at++];
    if (byte !== 0 && byte !== 1) throw new CorruptBytes("a boolean is neither 0 nor 1");
    return byte === 1;
  }

  int(): number {
    const buffer = this.#buffer;
    let byte = buffer[this.#at++] ?? 0;
    if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1);
    let value = byte & 0x7f;
    let shift = 7;
    do {
      byte = buffer[this.#at++] ?? 0;
      value |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80 && shift < 35);
    if (shift === 35 && byte > 0x0f) throw new CorruptBytes("an int has more than 32 bits");
    return (value >>> 1) ^ -(value & 1);
  }

  /** A number where that is exact, else a bigint. */
  long(): number | bigint {
    const buffer = this.#buffer;
    let byte = buffer[this.#at++] ?? 0;
    if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1);
    let low = byte & 0x7f;
    let shift = 7;
    do {
      byte = buffer[this.#at++] ?? 0;
      low |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80 && shift < 28);
    if (byte < 0x80) return (low >>> 1) ^ -(low & 1);
    return this.#wideLong(low);
  }

  /** `low` has the first 28 bits. */
  #wideLong(low: number): number | bigint {
    const buffer = this.#buffer;
    let middle = 0;
    let byte = 0;
    let shift = 0;
    do {
      byte = buffer[this.#at++] ?? 0;
      middle |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80 && shift < 28);
    let high = 0;
    if (byte >= 0x80) {
      byte = buffer[this.#at++] ?? 0;
      high = byte & 0x7f;
      if (byte >= 0x80) {
        byte = buffer[this.#at++] ?? 0;
        if (byte > 1) throw new CorruptBytes("a long has more than 64 bits");
        high |= byte << 7;
      }
    }
    if (high === 0 && middle < 0x4_00_00_00) {
      const half = (low >>> 1) + middle * 0x8_00_00_00;
      const value = (low & 1) === 0 ? half : -half - 1;
      if (Number.isSafeInteger(value)) return value;
    }
    const zigzag = BigInt(low) | (BigInt(middle) << 28n) | (BigInt(high) << 56n);
    const value = (zigzag >> 1n) ^ -(zigzag & 1n);
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
  }

  skipVarint(): void {
    const buffer = this.#buffer;
    for (let i = 0; i < maxVarintBytes; i += 1) {
      if ((buffer[this.#at++] ?? 0) < 0x80) return;
    }
    throw new CorruptBytes("a long has more than 64 bits");
  }

  float(): number {
    this.#need(4);
    const value = this.#buffer.readFloatLE(this.#at);
    this.#at += 4;
    return value;
  }

  double(): number {
    this.#need(8);
    const value = this.#buffer.readDoubleLE(this.#at);
    this.#at += 8;
    return value;
  }

  string(): string {
    const length = this.length();
    const buffer = this.#buffer;
    const from = this.#at;
    const to = from + length;
    this.#at = to;
    if (length <= shortText) {
      let text = "";
      let at = from;
      for (; at < to; at += 1) {
        const code = buffer[at] as number;
        if (code > 0x7f) break;
        text += String.fromCharCode(code);
      }
      if (at === to) return text;
    }
    const text = buffer.toString("utf8", from, to);
    // Damaged UTF-8 would silently become another text (I6).
    if (text.includes(replacement) && !isUtf8(buffer.subarray(from, to))) {
      throw new CorruptBytes("a text is not UTF-8");
    }
    return text;
  }

  /** A text that is likely to be `expected`: when it is, nothing is allocated. */
  stringLike(expected: string): string {
    const buffer = this.#buffer;
    const from = this.#at + 1;
    const length = expected.length;
    let same = length < 64 && buffer[this.#at] === length << 1 && from + length <= this.#end;
    for (let i = 0; same && i < length; i += 1) {
      const code = expected.charCodeAt(i);
      same = code <= 0x7f && buffer[from + i] === code;
    }
    if (!same) return this.string();
    this.#at = from + length;
    return expected;
  }

  /** A copy, so that a row outlives the batch it came in. */
  bytes(): Uint8Array {
    const length = this.length();
    const copy = new Uint8Array(length);
    copy.set(this.#buffer.subarray(this.#at, this.#at + length));
    this.#at += length;
    return copy;
  }

  /** Two's complement in Avro bytes. No bytes at all are 0. */
  twosComplement(): number | bigint {
    const length = this.length();
    const from = this.#at;
    this.#at += length;
    if (length === 0) return 0;
    if (length <= 6) return this.#buffer.readIntBE(from, length);
    const unsigned = BigInt(`0x${this.#buffer.toString("hex", from, from + length)}`);
    return BigInt.asIntN(length * 8, unsigned);
  }

  /** A length of at most the bytes left. */
  length(): number {
    const length = this.long();
    if (typeof length === "bigint" || length < 0 || length > this.left) throw new CorruptBytes("it is cut short");
    return length;
  }

  skip(sizeBytes: number): void {
    this.#need(sizeBytes);
    this.#at += sizeBytes;
  }

  /**
   * Items of the next block of an array or a map, 0 at the end. An item takes at least a byte here, so a count beyond
   * the bytes left is damage, found before anything is allocated.
   */
  blockCount(): number {
    const count = this.long();
    if (typeof count === "bigint") throw new CorruptBytes("a list is longer than its bytes");
    if (count < 0) this.length();
    const items = Math.abs(count);
    if (items > this.left) throw new CorruptBytes("a list is longer than its bytes");
    return items;
  }

  #need(sizeBytes: number): void {
    if (sizeBytes > this.left) throw new CorruptBytes("it is cut short");
  }
}
