import type { DecodedEvent } from "@datatrace/avro";
import { SourceText, UNCHANGED } from "@datatrace/core";
import type { Row, StoredRecord, TableSchema, TopicPartition, Value } from "@datatrace/core";

/**
 * An event as a line of JSON: place, operation, commit time and transaction, then key and rows by column. Integers of any
 * size are numbers, decimals and instants their text, bytes base64; a column that an update left out says
 * `{"unchanged":true}`, a value that its type cannot hold `{"text":…}`.
 */
export function eventLine(event: DecodedEvent, { offset }: StoredRecord, { topic, partition }: TopicPartition): string {
  const place = `"topic":${JSON.stringify(topic)},"partition":${partition},"offset":${offset}`;
  if (event.kind === "tombstone") return `{${place},"op":"tombstone","key":[${event.key.map(cellJson).join(",")}]}`;
  const { op, schema, key, before, after, tsUs, txId, lsn } = event;
  const at = new Date(tsUs / 1000).toISOString();
  return (
    `{${place},"op":"${op}","at":"${at}","txId":${txId},"lsn":${lsn},"key":[${key.map(cellJson).join(",")}],` +
    `"before":${rowJson(schema, before)},"after":${rowJson(schema, after)}}`
  );
}

function rowJson({ columns }: TableSchema, row: Row | null): string {
  if (row === null) return "null";
  const cells = columns.map(({ name }, index) => `${JSON.stringify(name)}:${cellJson(row[index] ?? null)}`);
  return `{${cells.join(",")}}`;
}

function cellJson(value: Value): string {
  if (typeof value === "bigint") return value.toString();
  if (value === UNCHANGED) return '{"unchanged":true}';
  if (value instanceof SourceText) return `{"text":${JSON.stringify(value.text)}}`;
  // JSON has no NaN, no infinity and no -0.
  if (typeof value === "number" && !Number.isFinite(value)) return JSON.stringify(String(value));
  if (Object.is(value, -0)) return "-0";
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString("base64"));
  if (Array.isArray(value)) return `[${(value as readonly Value[]).map(cellJson).join(",")}]`;
  return JSON.stringify(value);
}
