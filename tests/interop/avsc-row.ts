/** A datum as avsc takes it. */
export type AvscRow = Readonly<Record<string, unknown>>;

/** The unscaled value of a decimal as Avro has it: two's complement, as short as it can be. */
export function unscaled(value: bigint): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ;) {
    const low = Number(BigInt.asUintN(8, rest));
    bytes.unshift(low);
    rest >>= 8n;
    if ((rest === 0n && low < 0x80) || (rest === -1n && low >= 0x80)) return Buffer.from(bytes);
  }
}
