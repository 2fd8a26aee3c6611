/** Events of a small table for tests. Nothing here is used at run time. */
import type { Row, SchemaRegistry, StoredRecord, TableSchema } from "@datatrace/core";
import { createEventEncoder, type EncodedEvent, type EventChange, type EventEncoder } from "./event-encoder.ts";
import { postgresDescriptor, postgresOrigin } from "./postgres-origin.ts";
import { registerTable } from "./registered-schemas.ts";
import { avroFromTable } from "./table-avro.ts";

export const topic = "shop.public.orders";

export async function encoderOf(registry: SchemaRegistry, schema: TableSchema): Promise<EventEncoder> {
  const schemas = avroFromTable({ topic, schema, descriptor: postgresDescriptor });
  const ids = await registerTable(registry, topic, schemas);
  return createEventEncoder({ schema, descriptor: postgresDescriptor, version: "1", prefix: "shop", ...ids });
}

export function change(part: Partial<EventChange>): EventChange {
  return { op: "c", before: null, after: null, origin: postgresOrigin, snapshot: "false", processedTsUs: 1, ...part };
}

export function stored({ key, value, headers: noted }: EncodedEvent): StoredRecord {
  return { offset: 42n, key, value, headers: noted };
}

export const ordersTable: TableSchema = {
  name: { schema: "public", table: "orders" },
  key: [1, 0],
  columns: [
    { name: "id", type: { kind: "int64" }, native: { name: "int8" }, nullable: false },
    { name: "region", type: { kind: "string" }, native: { name: "text" }, nullable: false },
    { name: "total", type: { kind: "decimal", precision: 10, scale: 2 }, native: { name: "numeric" }, nullable: false },
    { name: "paid", type: { kind: "boolean" }, native: { name: "bool" }, nullable: false },
    {
      name: "tags",
      type: { kind: "array", element: { kind: "string" } },
      native: { name: "_text" },
      nullable: true,
    },
    { name: "photo", type: { kind: "bytes" }, native: { name: "bytea" }, nullable: true },
    { name: "at", type: { kind: "timestamptz", precision: 3 }, native: { name: "timestamptz" }, nullable: true },
  ],
};
export const ordersRow: Row = [
  9_007_199_254_740_993n,
  "eu",
  "12.50",
  true,
  ["a", null, "é"],
  new Uint8Array([0, 255]),
  "2026-01-02T03:04:05.678000Z",
];
