// Castagnoli's polynomial, reflected; eight tables, so that eight bytes are taken at a time.
const polynomial = 0x82f63b78;
const tables = Array.from({ length: 8 }, () => new Int32Array(256));

function table(index: number): Int32Array {
  return tables[index] ?? new Int32Array(256);
}

const [t0, t1, t2, t3, t4, t5, t6, t7] = [0, 1, 2, 3, 4, 5, 6, 7].map(table) as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];

for (let byte = 0; byte < 256; byte += 1) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
  t0[byte] = crc;
}
for (let index = 1; index < 8; index += 1) {
  const [before, own] = [table(index - 1), table(index)];
  for (let byte = 0; byte < 256; byte += 1) {
    const crc = before[byte] ?? 0;
    own[byte] = (crc >>> 8) ^ (t0[crc & 0xff] ?? 0);
  }
}

/** The checksum of Kafka's record batches, of the bytes from `start` on. Node's zlib has the other CRC-32 only. */
export function crc32c(bytes: Uint8Array, start: number): number {
  let crc = -1;
  let at = start;
  const wide = bytes.byteLength - 7;
  for (; at < wide; at += 8) {
    const low =
      crc ^
      (element(bytes, at) |
        (element(bytes, at + 1) << 8) |
        (element(bytes, at + 2) << 16) |
        (element(bytes, at + 3) << 24));
    crc =
      element(t7, low & 0xff) ^
      element(t6, (low >>> 8) & 0xff) ^
      element(t5, (low >>> 16) & 0xff) ^
      element(t4, low >>> 24) ^
      element(t3, element(bytes, at + 4)) ^
      element(t2, element(bytes, at + 5)) ^
      element(t1, element(bytes, at + 6)) ^
      element(t0, element(bytes, at + 7));
  }
  for (; at < bytes.byteLength; at += 1) crc = (crc >>> 8) ^ element(t0, (crc ^ element(bytes, at)) & 0xff);
  return ~crc >>> 0;
}

function element(array: Uint8Array | Int32Array, index: number): number {
  return array[index] as number;
}
