/** What avsc makes of the same events, as the measure of our encoder in tests. Nothing here is used at run time. */
import { type CanonicalType, SourceText, type TableSchema, UNCHANGED, type Value } from "@datatrace/core";
import { isAvroDecimal } from "./wire-type.ts";

/** Field names of the record `Value` or `Key`, in order. */
export function fieldNames(schema: string): readonly string[] {
  const json = JSON.parse(schema) as { name: string; fields: readonly { name: string; type: unknown }[] };
  if (json.name === "Key") return json.fields.map((field) => field.name);
  const before = json.fields.find((field) => field.name === "before")?.type as readonly [
    unknown,
    { fields: readonly { name: string }[] },
  ];
  return before[1].fields.map((field) => field.name);
}

/** The cells as avsc wants a record. Absent cells must have been replaced before. */
export function avscRecord(names: readonly string[], types: readonly CanonicalType[], cells: readonly Value[]): object {
  return Object.fromEntries(names.map((name, at) => [name, avscCell(types[at] as CanonicalType, cells[at] ?? null)]));
}

export function typesOf(table: TableSchema): readonly CanonicalType[] {
  return table.columns.map((column) => column.type);
}

function avscCell(type: CanonicalType, value: Value): unknown {
  if (value === null || value === UNCHANGED || value instanceof SourceText) return null;
  switch (type.kind) {
    case "array":
      return (value as readonly Value[]).map((item) => avscCell(type.element, item));
    case "int64":
      return BigInt(value as number | bigint);
    case "time":
      return type.precision <= 3 ? Number(value) / 1000 : BigInt(value as number);
    case "timestamp":
      return type.precision <= 3 ? BigInt(value as number | bigint) / 1000n : BigInt(value as number | bigint);
    case "timestamptz": {
      const text = value as string;
      if (type.precision === 6) return text;
      return type.precision === 0 ? `${text.slice(0, 19)}Z` : `${text.slice(0, 20 + type.precision)}Z`;
    }
    case "bytes":
      return Buffer.from(value as Uint8Array);
    case "decimal": {
      const [, fraction = ""] = (value as string).split(".");
      const bytes = twosComplement(BigInt((value as string).replace(".", "")));
      return isAvroDecimal(type) ? bytes : { scale: fraction.length, value: bytes };
    }
    case "boolean":
    case "int16":
    case "int32":
    case "float32":
    case "float64":
    case "date":
    case "string":
    case "uuid":
    case "json":
    case "enum":
      return value;
    default:
      return type satisfies never;
  }
}

/** Bytes from the lowest up, until what is left is only sign. */
function twosComplement(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = Number(BigInt.asUintN(8, rest));
    bytes.unshift(low);
    rest >>= 8n;
    if ((rest === 0n && low < 0x80) || (rest === -1n && low >= 0x80)) return Buffer.from(bytes);
  }
}
