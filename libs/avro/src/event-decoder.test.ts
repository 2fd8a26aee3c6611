import { type Column, headers, type Row, type TableSchema } from "@datatrace/core";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { arbitraryRow, arbitraryTable } from "@datatrace/testkit/arbitrary-table";
import type { ChangeEvent } from "./envelope-reader.ts";
import { createEventDecoder, type EventDecoder } from "./event-decoder.ts";
import type { EncodedEvent } from "./event-encoder.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { change, encoderOf, ordersRow as row, ordersTable as orders, stored, topic } from "./orders-events.ts";
import { postgresDescriptor, postgresOrigin } from "./postgres-origin.ts";
import { registerTable } from "./registered-schemas.ts";
import { avroFromTable } from "./table-avro.ts";

const at = { topic, partition: 3 };

async function decoded(decoder: EventDecoder, event: EncodedEvent): Promise<ChangeEvent> {
  const result = await decoder.decode(stored(event), at);
  if (result.kind !== "change") throw new Error("expected a change");
  return result;
}

function column(name: string, type: Column["type"]): Column {
  return { name, type, native: { name: "x" }, nullable: false };
}

describe("what was encoded comes back", () => {
  test("rows of any table, with unchanged columns and source texts", async () => {
    const cases = arbitraryTable.chain((schema) =>
      fc.record({
        schema: fc.constant(schema),
        op: fc.constantFrom("c" as const, "u" as const, "r" as const, "d" as const),
        old: arbitraryRow(schema, false),
        row: arbitraryRow(schema, true),
      }),
    );
    await fc.assert(
      fc.asyncProperty(cases, async ({ schema, op, old, row: after }) => {
        const registry = new MemoryRegistry();
        const decoder = createEventDecoder(registry, { withBefore: true });
        const event = change({
          op,
          before: op === "d" || op === "u" ? old : null,
          after: op === "d" ? null : after,
        });
        const encoded = (await encoderOf(registry, schema)).encode(event);
        const result = await decoded(decoder, encoded);
        expect(result).toMatchObject({ op, schema, tsUs: postgresOrigin.tsUs, txId: 571, lsn: 24_023_128 });
        expect(result.before).toEqual(event.before);
        expect(result.after).toEqual(event.after);
        expect(result.key).toHaveLength(schema.key.length);
        // Once its schemas are known, the answer is there at once.
        expect(decoder.decode(stored(encoded), at)).toEqual(result);
      }),
      { numRuns: 150, interruptAfterTimeLimit: 8_000 },
    );
  });

  test("floats keep the sign of zero and NaN, decimals their scale, longs every digit", async () => {
    const schema: TableSchema = {
      name: { schema: "public", table: "orders" },
      key: [],
      columns: [
        column("a", { kind: "float64" }),
        column("b", { kind: "float32" }),
        column("c", { kind: "float64" }),
        column("d", { kind: "decimal" }),
        column("e", { kind: "decimal" }),
        column("f", { kind: "int64" }),
        column("g", { kind: "int64" }),
        column("h", { kind: "int64" }),
        column("i", { kind: "timestamp", precision: 3 }),
      ],
    };
    const cells: Row = [
      -0,
      -0,
      Number.NaN,
      "-0.000",
      "1.500",
      -(2n ** 63n),
      2n ** 63n - 1n,
      Number.MIN_SAFE_INTEGER,
      -9_223_372_036_854_775_000n,
    ];
    const registry = new MemoryRegistry();
    const encoded = (await encoderOf(registry, schema)).encode(change({ after: cells }));
    const { after } = await decoded(createEventDecoder(registry), encoded);
    const expected = cells.map((cell) => (cell === "-0.000" ? "0.000" : cell));
    for (const [index, cell] of expected.entries()) expect(after?.[index]).toBe(cell);
  });

  test("the old row of an update only when asked for, of a delete always", async () => {
    const registry = new MemoryRegistry();
    const encoder = await encoderOf(registry, orders);
    const decoder = createEventDecoder(registry);
    const update = await decoded(decoder, encoder.encode(change({ op: "u", before: row, after: row })));
    expect(update).toMatchObject({ before: null, after: row });
    const removal = await decoded(decoder, encoder.encode(change({ op: "d", before: row })));
    expect(removal).toMatchObject({ before: row, after: null, key: ["eu", 9_007_199_254_740_993n] });
  });

  test("a tombstone has its key", async () => {
    const registry = new MemoryRegistry();
    const { key } = (await encoderOf(registry, orders)).encode(change({ after: row }));
    const record = { offset: 1n, key, value: null, headers: {} };
    const decoder = createEventDecoder(registry);
    expect(await decoder.decode(record, at)).toEqual({ kind: "tombstone", key: ["eu", 9_007_199_254_740_993n] });
  });

  test("snapshot flag and r_follows", async () => {
    const registry = new MemoryRegistry();
    const encoder = await encoderOf(registry, orders);
    const decoder = createEventDecoder(registry);
    const event = change({ op: "u", after: row, headers: { [headers.rFollows]: "*" } });
    expect(await decoded(decoder, encoder.encode(event))).toMatchObject({ rFollows: "*", snapshot: "false" });
    const read = change({ op: "r", after: row, snapshot: "incremental" });
    expect(await decoded(decoder, encoder.encode(read))).toMatchObject({ rFollows: null, snapshot: "incremental" });
    expect(await decoded(decoder, encoder.encode(event))).toMatchObject({ rFollows: "*", snapshot: "false" });
  });

  test("a row holds no memory of the record it came from", async () => {
    const registry = new MemoryRegistry();
    const encoded = (await encoderOf(registry, orders)).encode(change({ after: row }));
    const { after } = await decoded(createEventDecoder(registry), encoded);
    encoded.value.fill(0xff);
    expect(after).toEqual(row);
  });
});

describe("schemas", () => {
  test("one object per pair of ids, and the registry asked once per id", async () => {
    const registry = new MemoryRegistry();
    const writer = new MemoryRegistry();
    const wider: TableSchema = {
      ...orders,
      columns: [...orders.columns, { name: "more", type: { kind: "int32" }, native: { name: "int4" }, nullable: true }],
    };
    const encoders = [await encoderOf(writer, orders), await encoderOf(writer, wider)] as const;
    for (let id = 1; id <= 3; id += 1) await registry.register("", await writer.byId(id));
    registry.calls = 0;
    const decoder = createEventDecoder(registry);
    const events = [row, row].map((after) => encoders[0].encode(change({ after })));
    const [first, second] = await Promise.all(events.map((event) => decoded(decoder, event)));
    const third = await decoded(decoder, encoders[1].encode(change({ after: [...row, 1] })));
    expect(second?.schema).toBe(first?.schema);
    expect(third.schema).not.toBe(first?.schema);
    expect(third.schema).toEqual(wider);
    expect(registry.calls).toBe(3);
    expect(decoder.decode(stored(events[0] as EncodedEvent), at)).not.toBeInstanceOf(Promise);
  });

  test("registering the same schemas again asks nobody", async () => {
    const registry = new MemoryRegistry();
    const schemas = avroFromTable({ topic, schema: orders, descriptor: postgresDescriptor });
    const ids = await registerTable(registry, topic, schemas);
    expect(await registerTable(registry, topic, schemas)).toEqual(ids);
    expect(registry.calls).toBe(2);
  });

  test("an id that the registry does not know, and that is not remembered", async () => {
    const registry = new MemoryRegistry();
    const other = new MemoryRegistry();
    const encoded = (await encoderOf(other, orders)).encode(change({ after: row }));
    const decoder = createEventDecoder(registry);
    await expect(async () => await decoder.decode(stored(encoded), at)).rejects.toMatchObject({
      code: "registry.schema_unknown",
    });
    for (let id = 1; id <= 2; id += 1) await registry.register("", await other.byId(id));
    expect((await decoded(decoder, encoded)).after).toEqual(row);
  });

  test("what was registered here is not asked for", async () => {
    const registry = new MemoryRegistry();
    const encoded = (await encoderOf(registry, orders)).encode(change({ after: row }));
    registry.calls = 0;
    expect((await decoded(createEventDecoder(registry), encoded)).after).toEqual(row);
    expect(registry.calls).toBe(0);
  });
});
