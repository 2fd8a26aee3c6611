import avsc from "avsc";
import type { AvroJson } from "./debezium-schemas.ts";

const longType = avsc.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64LE(value);
    return buffer;
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === "bigint",
  compare: (one: bigint, other: bigint) => (one < other ? -1 : Number(one > other)),
});

/** avsc's type of a schema: every long is a bigint, no union is wrapped, a logical type is what it lies in. */
export function avscType(schema: AvroJson): avsc.Type {
  return avsc.Type.forSchema(schema as avsc.Schema, {
    wrapUnions: "never",
    typeHook: (part) => {
      const type: unknown = typeof part === "object" && part !== null ? Reflect.get(part, "type") : part;
      return part === "long" || type === "long" ? longType : undefined;
    },
  });
}

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
