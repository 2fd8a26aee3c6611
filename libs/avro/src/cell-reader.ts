import { invariant, type Value } from "@datatrace/core";
import type { AvroNode } from "./avro-schema.ts";
import { type ByteReader, CorruptBytes } from "./byte-reader.ts";
import { formatDecimal } from "./decimal.ts";
import { readInstant } from "./instant.ts";
import type { ScalarWire, WireType } from "./wire-type.ts";

export type CellReader = (reader: ByteReader) => Value;

/** Reads a field of a writer's schema into the in-memory form of its canonical type. */
export function cellReader(node: AvroNode, wire: WireType): CellReader {
  if (node.kind === "union") {
    const readers = node.branches.map((branch) => (branch.kind === "null" ? null : cellReader(branch, wire)));
    return optionalReader(readers);
  }
  if (wire.kind !== "array") return scalarReader(wire);
  invariant(node.kind === "array", "an array is read from an Avro array");
  return arrayReader(cellReader(node.items, wire.element));
}

function optionalReader(branches: readonly (CellReader | null)[]): CellReader {
  const [first, second] = branches;
  if (branches.length === 2 && first === null && second !== null && second !== undefined) {
    return (reader) => {
      const branch = reader.int();
      if (branch === 1) return second(reader);
      if (branch === 0) return null;
      throw new CorruptBytes("a union has no such branch");
    };
  }
  return (reader) => {
    const branch = branches[reader.int()];
    if (branch === undefined) throw new CorruptBytes("a union has no such branch");
    return branch === null ? null : branch(reader);
  };
}

function arrayReader(item: CellReader): CellReader {
  return (reader) => {
    const items: Value[] = [];
    for (let left = reader.blockCount(); left > 0; left = reader.blockCount()) {
      for (; left > 0; left -= 1) items.push(item(reader));
    }
    return items;
  };
}

function scalarReader(wire: ScalarWire): CellReader {
  switch (wire.kind) {
    case "boolean":
      return (reader) => reader.boolean();
    case "int":
      return (reader) => reader.int();
    case "long":
      return (reader) => reader.long();
    case "float":
      return (reader) => reader.float();
    case "double":
      return (reader) => reader.double();
    case "bytes":
      return (reader) => reader.bytes();
    case "string":
      return (reader) => reader.string();
    case "zoned":
      return (reader) => readInstant(reader.string());
    case "time-millis":
      return (reader) => reader.int() * 1000;
    case "timestamp-millis":
      return readTimestampMillis;
    case "decimal": {
      const { scale } = wire;
      return (reader) => decimalText(reader.twosComplement(), scale);
    }
    case "variable-decimal":
      return (reader) => {
        const scale = reader.int();
        return decimalText(reader.twosComplement(), scale);
      };
    default:
      return wire satisfies never;
  }
}

function decimalText(unscaled: number | bigint, scale: number): string {
  const text = formatDecimal(unscaled, scale);
  if (text === null) throw new CorruptBytes("a decimal has an impossible scale");
  return text;
}

function readTimestampMillis(reader: ByteReader): Value {
  const millis = reader.long();
  const micros = BigInt(millis) * 1000n;
  const safe = Number(micros);
  return Number.isSafeInteger(safe) ? safe : micros;
}
