import type { Column, TableSchema } from "@datatrace/core";
import {
  type AvroField,
  type AvroNode,
  type AvroRecord,
  parametersOf,
  parseAvroSchema,
  unsupported,
} from "./avro-schema.ts";
import { type ReadColumn, readColumn, withoutNull } from "./column-type.ts";
import { parameterNames } from "./parameter-names.ts";
import { tableNameOf } from "./table-name.ts";

/** A key schema, taken apart: its fields and what each means. */
export interface ReadKey {
  readonly fields: readonly AvroField[];
  readonly columns: readonly ReadColumn[];
}

/** An envelope schema, taken apart. `columns` are the fields of `value`, in order. */
export interface ReadEnvelope {
  readonly envelope: AvroRecord;
  readonly value: AvroRecord;
  readonly columns: readonly ReadColumn[];
}

/**
 * The table that a pair of writer's schemas describes: the exact inverse of `avroFromTable`, but for `Column.number`,
 * which concerns the source alone and is not written. Schemas that Debezium
 * wrote are read too; `native` then holds what their parameters say, an empty name where they say nothing.
 * @throws DataTraceError `log.schema_unsupported`.
 */
export function tableFromAvro(key: string | null, value: string): TableSchema {
  return tableOf(key === null ? null : readKey(key), readEnvelope(value));
}

export function readKey(text: string): ReadKey {
  const node = parseAvroSchema(text);
  if (node.kind !== "record") throw unsupported("the key is not a record");
  return { fields: node.fields, columns: node.fields.map(readColumn) };
}

export function readEnvelope(text: string): ReadEnvelope {
  const envelope = parseAvroSchema(text);
  if (envelope.kind !== "record") throw unsupported("the value is not a record");
  const value = rowRecord(envelope, "after");
  if (rowRecord(envelope, "before") !== value) throw unsupported("before and after are of different types");
  if (!envelope.fields.some((field) => field.name === "op" && field.node.kind === "string")) {
    throw unsupported("the value has no op");
  }
  return { envelope, value, columns: value.fields.map(readColumn) };
}

export function tableOf(key: ReadKey | null, { value, columns }: ReadEnvelope): TableSchema {
  const plain = tableNameOf(value.fullName.slice(0, Math.max(0, value.fullName.lastIndexOf("."))));
  const parameters = parametersOf(value.json);
  return {
    name: {
      schema: parameters.get(parameterNames.schema) ?? plain.schema,
      table: parameters.get(parameterNames.table) ?? plain.table,
    },
    columns: columns.map((read) => read.column),
    key: (key?.columns ?? []).map((read) => indexOfColumn(columns, read.column)),
  };
}

function indexOfColumn(columns: readonly ReadColumn[], wanted: Column): number {
  const index = columns.findIndex((read) => read.column.name === wanted.name);
  if (index < 0) throw unsupported(`key column ${wanted.name} is not in the value`);
  return index;
}

function rowRecord(envelope: AvroRecord, name: string): AvroRecord {
  const field = envelope.fields.find((candidate) => candidate.name === name);
  const node: AvroNode | null = field === undefined ? null : withoutNull(field.node);
  if (field === undefined || node === null || node.kind !== "record" || field.node.kind !== "union") {
    throw unsupported(`the value has no optional record ${name}`);
  }
  return node;
}
