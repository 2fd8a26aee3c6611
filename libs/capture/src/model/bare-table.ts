import { createEventEncoder } from "@datatrace/avro";
import type { TableSchema } from "@datatrace/core";
import { CapturedTable } from "../captured-table.ts";
import type { TableVersion } from "../table-version.ts";

/** Columns id (the key), a and b. */
export const bareSchema: TableSchema = {
  name: { schema: "public", table: "t" },
  columns: ["id", "a", "b"].map((name) => ({
    name,
    type: { kind: "int32" },
    native: { name: "int4" },
    nullable: name !== "id",
  })),
  key: [0],
};

/** A version of its own each time, though they look the same. */
export function bareVersion(): TableVersion {
  const encoder = createEventEncoder({
    descriptor: { connector: "postgresql", database: "d", fields: [] },
    prefix: "p",
    version: "1",
    schema: bareSchema,
    keySchemaId: 1,
    valueSchemaId: 2,
  });
  return { schema: bareSchema, encoder };
}

/** A table that is published and has nothing to read. */
export function bareTable(...versions: readonly TableVersion[]): CapturedTable {
  const name = { schema: "public", table: "t" };
  const table = new CapturedTable({ name, topic: "p.public.t", partitions: 1, epoch: 1, versions });
  table.phase = "streaming";
  table.followed = true;
  return table;
}
