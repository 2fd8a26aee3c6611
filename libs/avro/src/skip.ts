import type { AvroNode, AvroRecord } from "./avro-schema.ts";
import { type ByteReader, CorruptBytes } from "./byte-reader.ts";

export type Skip = (reader: ByteReader) => void;

/** Passes over a value of any Avro schema. */
export function skipper(node: AvroNode): Skip {
  return skipperOf(node, new Map());
}

function skipperOf(node: AvroNode, records: Map<AvroRecord, Skip>): Skip {
  switch (node.kind) {
    case "null":
      return () => {};
    case "boolean":
      return (reader) => void reader.boolean();
    case "int":
    case "enum":
    case "long":
      return (reader) => reader.skipVarint();
    case "float":
      return (reader) => reader.skip(4);
    case "double":
      return (reader) => reader.skip(8);
    case "bytes":
    case "string":
      return (reader) => reader.skip(reader.length());
    case "fixed": {
      const { sizeBytes } = node;
      return (reader) => reader.skip(sizeBytes);
    }
    case "array": {
      const item = skipperOf(node.items, records);
      return (reader) => skipBlocks(reader, item);
    }
    case "map": {
      const value = skipperOf(node.values, records);
      return (reader) =>
        skipBlocks(reader, (entries) => {
          entries.skip(entries.length());
          value(entries);
        });
    }
    case "union": {
      const branches = node.branches.map((branch) => skipperOf(branch, records));
      return (reader) => {
        const branch = branches[reader.int()];
        if (branch === undefined) throw new CorruptBytes("a union has no such branch");
        branch(reader);
      };
    }
    case "record":
      return recordSkipper(node, records);
    default:
      return node satisfies never;
  }
}

function recordSkipper(node: AvroRecord, records: Map<AvroRecord, Skip>): Skip {
  const known = records.get(node);
  if (known !== undefined) return known;
  const fields: Skip[] = [];
  const skip: Skip = (reader) => {
    for (const field of fields) field(reader);
  };
  records.set(node, skip);
  for (const field of node.fields) fields.push(skipperOf(field.node, records));
  return skip;
}

function skipBlocks(reader: ByteReader, item: Skip): void {
  for (let left = reader.blockCount(); left > 0; left = reader.blockCount()) {
    for (; left > 0; left -= 1) item(reader);
  }
}
