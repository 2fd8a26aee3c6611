import { SourceText } from "@datatrace/core";
import type { Value } from "@datatrace/core";

/**
 * Reads PostgreSQL's text of one value from `bytes[start, end)`; the bytes may be overwritten afterwards. The text must
 * come from a session with the settings that `sessionConfig` pins.
 */
export type TextDecoder = (bytes: Buffer, start: number, end: number) => Value;

const open = 0x7b;
const close = 0x7d;
const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;

/**
 * Reads `{1,NULL,"a b"}`. An array with another lower bound (`[0:1]={…}`), of several dimensions, or with an element
 * that its kind cannot hold is a `SourceText` of the whole.
 */
export function arrayDecoder(element: TextDecoder): TextDecoder {
  return (bytes, start, end) => decodeArray(bytes, start, end, element);
}

function decodeArray(bytes: Buffer, start: number, end: number, element: TextDecoder): readonly Value[] | SourceText {
  const whole = (): SourceText => new SourceText(bytes.toString("utf8", start, end));
  if (bytes[start] !== open || bytes[end - 1] !== close) return whole();
  const values: Value[] = [];
  const last = end - 1;
  let at = start + 1;
  while (at < last) {
    const first = bytes[at];
    if (first === open) return whole();
    let value: Value;
    if (first === quote) {
      const stop = closingQuote(bytes, at + 1);
      value = decodeQuoted(bytes, at + 1, stop, element);
      at = stop + 1;
    } else {
      let stop = at;
      while (stop < last && bytes[stop] !== comma) stop += 1;
      value = isNull(bytes, at, stop) ? null : element(bytes, at, stop);
      at = stop;
    }
    if (value instanceof SourceText) return whole();
    values.push(value);
    // The comma.
    at += 1;
  }
  return values;
}

function closingQuote(bytes: Buffer, start: number): number {
  let at = start;
  while (at < bytes.length && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
  return at;
}

function decodeQuoted(bytes: Buffer, start: number, end: number, element: TextDecoder): Value {
  if (!bytes.subarray(start, end).includes(backslash)) return element(bytes, start, end);
  const plain = Buffer.allocUnsafe(end - start);
  let length = 0;
  for (let at = start; at < end; at += 1) {
    if (bytes[at] === backslash) at += 1;
    plain[length] = bytes[at] ?? 0;
    length += 1;
  }
  return element(plain, 0, length);
}

function isNull(bytes: Buffer, start: number, end: number): boolean {
  return end - start === 4 && bytes.toString("latin1", start, end) === "NULL";
}

/** One element of an array's text. Quoted always, but for NULL: what is inside then never matters. */
export function arrayElementText(text: string | null): string {
  return text === null ? "NULL" : `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}
