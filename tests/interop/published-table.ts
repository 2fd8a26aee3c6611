import type { CanonicalType, Column, NativeType, SourceDescriptor, TableSchema } from "@datatrace/core";

export const postgresDescriptor: SourceDescriptor = {
  connector: "postgresql",
  database: "shop",
  fields: [
    { name: "schema", type: "string" },
    { name: "table", type: "string" },
    { name: "txId", type: "nullable-long" },
    { name: "lsn", type: "nullable-long" },
    { name: "xmin", type: "nullable-long" },
    { name: "origin", type: "nullable-string" },
    { name: "origin_lsn", type: "nullable-long" },
  ],
};

export const publishedTopic = "shop.public.orders";

function column(name: string, type: CanonicalType, native: NativeType, nullable: boolean): Column {
  return { name, type, native, nullable };
}

/** A table of PostgreSQL with every type that is carried: what `schemas/event` shows. */
export const publishedTable: TableSchema = {
  name: { schema: "public", table: "orders" },
  key: [0, 1, 2],
  columns: [
    column("id", { kind: "int64" }, { name: "int8" }, false),
    column("region", { kind: "string", length: 2 }, { name: "bpchar", length: 2 }, false),
    column("part", { kind: "decimal", precision: 8, scale: 2 }, { name: "numeric", length: 8, scale: 2 }, false),
    column("quantity", { kind: "int32" }, { name: "int4" }, false),
    column("rank", { kind: "int16" }, { name: "int2" }, true),
    column("paid", { kind: "boolean" }, { name: "bool" }, false),
    column("weight", { kind: "float32" }, { name: "float4" }, true),
    column("ratio", { kind: "float64" }, { name: "float8" }, true),
    column("total", { kind: "decimal", precision: 12, scale: 2 }, { name: "numeric", length: 12, scale: 2 }, true),
    column("rate", { kind: "decimal" }, { name: "numeric" }, true),
    column("fee", { kind: "decimal" }, { name: "numeric" }, false),
    column("email", { kind: "string", length: 255 }, { name: "varchar", length: 255 }, true),
    column("note", { kind: "string" }, { name: "text" }, true),
    column("photo", { kind: "bytes" }, { name: "bytea" }, true),
    column("due", { kind: "date" }, { name: "date" }, true),
    column("opens", { kind: "time", precision: 3 }, { name: "time", length: 3 }, true),
    column("closes", { kind: "time", precision: 6 }, { name: "time" }, true),
    column("seen", { kind: "timestamp", precision: 3 }, { name: "timestamp", length: 3 }, true),
    column("changed", { kind: "timestamp", precision: 6 }, { name: "timestamp" }, false),
    column("placed", { kind: "timestamptz", precision: 6 }, { name: "timestamptz" }, false),
    column("ref", { kind: "uuid" }, { name: "uuid" }, true),
    column("extra", { kind: "json" }, { name: "jsonb" }, true),
    column("mood", { kind: "enum", values: ["sad", "ok"] }, { name: "mood" }, true),
    column("tags", { kind: "array", element: { kind: "string" } }, { name: "_text" }, true),
    column("my-col", { kind: "int32" }, { name: "int4" }, true),
  ],
};
