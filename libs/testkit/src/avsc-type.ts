import avsc from "avsc";

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
  compare: (a: bigint, b: bigint) => (a < b ? -1 : Number(a > b)),
});

/** The schema with every long as a bigint and no union wrapped. */
export function avscType(schema: string): avsc.Type {
  return avsc.Type.forSchema(JSON.parse(schema) as avsc.Schema, {
    wrapUnions: "never",
    typeHook: (part) => {
      const type: unknown = typeof part === "object" && part !== null ? Reflect.get(part, "type") : part;
      return part === "long" || type === "long" ? longType : undefined;
    },
  });
}
