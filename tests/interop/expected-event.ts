import type { EventChange } from "@datatrace/avro";
import type { ChangeOrigin, Row, TableSchema } from "@datatrace/core";
import { expectedCell, integer } from "./expected-datum.ts";
import type { TaggedDatum } from "./fastavro.ts";

/** Where all changes of these tests come from. */
const origin: ChangeOrigin = {
  tsUs: 1_767_323_045_678_901,
  sequence: '["24023119",null]',
  fields: ["public", "orders", 4_294_967_295, 2n ** 62n, null, null, null],
};

/** An insert of nothing, but for what is given. */
export function change(part: Partial<EventChange>): EventChange {
  return {
    op: "c",
    before: null,
    after: null,
    origin,
    snapshot: "false",
    processedTsUs: 1_767_323_046_000_001,
    ...part,
  };
}

/** What an independent reader must see of an event that `change` made, written with version `1.0.0` for `shop`. */
export function expectedEnvelope(schema: TableSchema, names: readonly string[], one: EventChange): TaggedDatum {
  const row = (cells: Row | null): TaggedDatum =>
    cells === null
      ? null
      : Object.fromEntries(
          schema.columns.map(({ type }, at) => [names[at] ?? "", expectedCell(type, cells[at] ?? null)]),
        );
  return {
    before: row(one.before),
    after: row(one.after),
    source: {
      version: "1.0.0",
      connector: "postgresql",
      name: "shop",
      ts_ms: integer(1_767_323_045_678n),
      snapshot: one.snapshot,
      db: "shop",
      sequence: '["24023119",null]',
      ts_us: integer(1_767_323_045_678_901n),
      ts_ns: integer(1_767_323_045_678_901_000n),
      schema: "public",
      table: "orders",
      txId: integer(4_294_967_295n),
      lsn: integer(2n ** 62n),
      xmin: null,
      origin: null,
      origin_lsn: null,
    },
    transaction: null,
    op: one.op,
    ts_ms: integer(1_767_323_046_000n),
    ts_us: integer(1_767_323_046_000_001n),
    ts_ns: integer(1_767_323_046_000_001_000n),
  };
}

/** The same of its key; `names` are the fields of the key. */
export function expectedKey(schema: TableSchema, names: readonly string[], row: Row): TaggedDatum {
  return Object.fromEntries(
    names.map((name, at) => {
      const index = schema.key[at] ?? -1;
      const type = schema.columns[index]?.type;
      return [name, type === undefined ? null : expectedCell(type, row[index] ?? null)];
    }),
  );
}

/** Names of the fields of the rows, and of the key, in order. */
export function fieldNames(schemas: { readonly key: string | null; readonly value: string }): {
  readonly value: readonly string[];
  readonly key: readonly string[];
} {
  const envelope = JSON.parse(schemas.value) as { fields: { type: [unknown, { fields: { name: string }[] }] }[] };
  const key = JSON.parse(schemas.key ?? '{"fields":[]}') as { fields: { name: string }[] };
  return {
    value: (envelope.fields[0]?.type[1].fields ?? []).map(({ name }) => name),
    key: key.fields.map(({ name }) => name),
  };
}
