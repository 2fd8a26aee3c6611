import type { LogHeaders, StoredRecord } from "@datatrace/core";

const noHeaders: LogHeaders = {};

/** Adds the records of a batch from `offset` on to `into`, and answers that. Keys and values share memory with `body`. */
export function readRecords(
  body: Buffer,
  base: bigint,
  count: number,
  offset: bigint,
  into: StoredRecord[],
): StoredRecord[] {
  let at = 0;
  const varint = (): number => {
    let zigzag = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = body[at] ?? 0;
      at += 1;
      zigzag |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (zigzag >>> 1) ^ -(zigzag & 1);
    }
  };
  const bytes = (): Buffer | null => {
    const size = varint();
    if (size < 0) return null;
    at += size;
    return body.subarray(at - size, at);
  };
  const headers = (): LogHeaders => {
    const left = varint();
    if (left === 0) return noHeaders;
    const entries: [string, string][] = [];
    for (let index = 0; index < left; index += 1) {
      const name = bytes();
      const value = bytes();
      entries.push([name?.toString("utf8") ?? "", value?.toString("utf8") ?? ""]);
    }
    return Object.fromEntries(entries);
  };
  for (let index = 0; index < count; index += 1) {
    const size = varint();
    const end = at + size;
    // Attributes, then the timestamp delta, which may be longer than an int32.
    at += 1;
    while ((body[at] ?? 0) >= 0x80) at += 1;
    at += 1;
    const own = base + BigInt(varint());
    if (own >= offset) into.push({ offset: own, key: bytes(), value: bytes(), headers: headers() });
    at = end;
  }
  return into;
}
