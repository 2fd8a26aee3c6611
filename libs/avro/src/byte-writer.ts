import { Buffer } from "node:buffer";
import { invariant } from "@datatrace/core";

const slabBytes = 65_536;
const maxVarintBytes = 10;
/** Up to here a loop over characters beats the call into the runtime. */
const shortText = 32;

/**
 * Avro binary into a slab of memory. What `take` returns is a view that is never written again; a full slab is left to
 * its views and a new one is begun. An unfinished piece is dropped by `begin`.
 */
export class ByteWriter {
  #buffer = Buffer.allocUnsafeSlow(slabBytes);
  #view = new DataView(this.#buffer.buffer);
  #start = 0;
  #at = 0;

  begin(): void {
    this.#at = this.#start;
  }

  /** Bytes written since `begin` or the last `take`. */
  take(): Buffer {
    const piece = this.#buffer.subarray(this.#start, this.#at);
    this.#start = this.#at;
    return piece;
  }

  /** The slab now written to, for `copyFrom` later on. */
  get slab(): Buffer {
    return this.#buffer;
  }

  get at(): number {
    return this.#at;
  }

  /** Where the unfinished piece begins in `slab`. */
  get start(): number {
    return this.#start;
  }

  copyFrom(slab: Uint8Array, from: number, to: number): void {
    this.#reserve(to - from);
    if (slab === this.#buffer) this.#buffer.copyWithin(this.#at, from, to);
    else this.#buffer.set(slab.subarray(from, to), this.#at);
    this.#at += to - from;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#at++] = value;
  }

  /** Big-endian, as in the header of a message. */
  uint32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#at, value);
    this.#at += 4;
  }

  float(value: number): void {
    this.#reserve(4);
    this.#view.setFloat32(this.#at, value, true);
    this.#at += 4;
  }

  double(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  /** A zigzag varint of an integer of 32 bits. */
  int(value: number): void {
    this.#reserve(maxVarintBytes);
    this.#int(value);
  }

  /** A zigzag varint of a safe integer or of a bigint of 64 bits. */
  long(value: number | bigint): void {
    this.#reserve(maxVarintBytes);
    if (typeof value === "number") {
      if ((value | 0) === value) this.#int(value);
      else {
        invariant(Number.isSafeInteger(value), "a long is not a safe integer");
        this.#long(Math.floor(value / 4_294_967_296), value >>> 0);
      }
    } else {
      invariant(BigInt.asIntN(64, value) === value, "a long has more than 64 bits");
      this.#long(Number(value >> 32n), Number(value & 0xff_ff_ff_ffn));
    }
  }

  /** The long `value * 1000`, which may be beyond a safe integer although `value` is one. */
  thousandfold(value: number): void {
    this.#reserve(maxVarintBytes);
    const high = Math.floor(value / 4_294_967_296);
    const low = (value >>> 0) * 1000;
    this.#long(high * 1000 + Math.floor(low / 4_294_967_296), low >>> 0);
  }

  string(value: string): void {
    const length = value.length;
    if (length > shortText) {
      this.#longString(value);
      return;
    }
    this.#reserve(length + 1);
    const buffer = this.#buffer;
    let at = this.#at;
    buffer[at++] = length << 1;
    for (let i = 0; i < length; i += 1) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) {
        this.#longString(value);
        return;
      }
      buffer[at++] = code;
    }
    this.#at = at;
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length + maxVarintBytes);
    this.#int(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }

  /** Avro bytes of the shortest two's complement, as Java's BigInteger has it. */
  twosComplement(value: number | bigint): void {
    if (typeof value === "bigint") {
      this.#bigTwosComplement(value);
      return;
    }
    this.#reserve(9);
    const high = Math.floor(value / 4_294_967_296);
    const low = value >>> 0;
    const positive = value < 0 ? -(value + 1) : value;
    let length = 1;
    for (let limit = 128; positive >= limit; limit *= 256) length += 1;
    const buffer = this.#buffer;
    buffer[this.#at++] = length << 1;
    for (let i = length - 1; i >= 4; i -= 1) buffer[this.#at++] = high >> ((i - 4) * 8);
    for (let i = Math.min(length, 4) - 1; i >= 0; i -= 1) buffer[this.#at++] = low >>> (i * 8);
  }

  #bigTwosComplement(value: bigint): void {
    const positive = value < 0n ? -value - 1n : value;
    const bits = positive.toString(16).length * 4;
    let length = Math.floor(bits / 8) + 1;
    if (length > 1 && positive >> BigInt((length - 1) * 8 - 1) === 0n) length -= 1;
    const hex = BigInt.asUintN(length * 8, value)
      .toString(16)
      .padStart(length * 2, "0");
    this.#reserve(length + maxVarintBytes);
    this.#int(length);
    this.#at += this.#buffer.write(hex, this.#at, "hex");
  }

  #longString(value: string): void {
    const length = Buffer.byteLength(value);
    // A lone surrogate has no UTF-8: it would become another character (I6).
    invariant(length === value.length || value.isWellFormed(), "a text has a lone surrogate");
    this.#reserve(length + maxVarintBytes);
    this.#int(length);
    this.#at += this.#buffer.write(value, this.#at);
  }

  #int(value: number): void {
    const buffer = this.#buffer;
    let rest = ((value << 1) ^ (value >> 31)) >>> 0;
    while (rest > 0x7f) {
      buffer[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[this.#at++] = rest;
  }

  #long(high: number, low: number): void {
    const buffer = this.#buffer;
    const sign = high >> 31;
    let upper = (((high << 1) | (low >>> 31)) ^ sign) >>> 0;
    let lower = ((low << 1) ^ sign) >>> 0;
    while (upper !== 0) {
      buffer[this.#at++] = (lower & 0x7f) | 0x80;
      lower = ((lower >>> 7) | (upper << 25)) >>> 0;
      upper >>>= 7;
    }
    while (lower > 0x7f) {
      buffer[this.#at++] = (lower & 0x7f) | 0x80;
      lower >>>= 7;
    }
    buffer[this.#at++] = lower;
  }

  #reserve(sizeBytes: number): void {
    if (this.#at + sizeBytes > this.#buffer.length) this.#grow(sizeBytes);
  }

  #grow(sizeBytes: number): void {
    const written = this.#at - this.#start;
    const bigger = Buffer.allocUnsafeSlow(Math.max(slabBytes, (written + sizeBytes) * 2));
    this.#buffer.copy(bigger, 0, this.#start, this.#at);
    this.#buffer = bigger;
    this.#view = new DataView(bigger.buffer);
    this.#start = 0;
    this.#at = written;
  }
}
