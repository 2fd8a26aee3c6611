import { UNCHANGED } from "@datatrace/core";
import type { Row, Value } from "@datatrace/core";
import { availablePostgres, testPostgres } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DeliveryBed, item, itemsSchema, openTarget } from "./delivery-bed.ts";
import type { Change } from "./delivery-bed.ts";

let server: TestPostgres;
beforeAll(async () => {
  server = await testPostgres((await availablePostgres()).at(-1) ?? 18);
}, 120_000);
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const refused = -1;

const cell = fc.oneof(fc.constantFrom("", "one", 'two "2"'), fc.constant(null));
const quantity = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 0, max: 9 }) },
  { weight: 1, arbitrary: fc.constant(refused) },
);

/** Rows below zero are refused by the target, and park their key. */
const change: fc.Arbitrary<Change> = fc
  .integer({ min: 1, max: 6 })
  .chain((id) =>
    fc
      .oneof(
        { weight: 4, arbitrary: fc.tuple(fc.constantFrom("c", "u", "r"), cell, quantity, cell) },
        { weight: 3, arbitrary: fc.tuple(fc.constant("u"), cell, quantity, fc.constant(UNCHANGED)) },
        { weight: 2, arbitrary: fc.constant(["d", null, null, null]) },
      )
      .map(([op, name, amount, note]): Change => ({ op, row: item(id, name, amount, note) })),
  );

/** What a delivery has left in the target. */
interface End {
  readonly rows: readonly Row[];
  /** Ids of rows that were asked for. */
  readonly asked: readonly number[];
  readonly parked: readonly number[];
}

function sorted(ids: Iterable<number>): readonly number[] {
  return [...ids].toSorted((a, b) => a - b);
}

/** The same, from the changes applied one at a time: the contract once more, and simpler. */
function expected(changes: readonly Change[]): End {
  const rows = new Map<number, Row>();
  const asked = new Set<number>();
  const parked = new Set<number>();
  for (const { op, row } of changes) {
    const id = Number(row[0]);
    const known = rows.get(id);
    const isPartial = row.includes(UNCHANGED);
    if (parked.has(id)) continue;
    if (op === "d") {
      rows.delete(id);
      asked.delete(id);
    } else if (isPartial && known === undefined) asked.add(id);
    else if (row[2] === refused) parked.add(id);
    else {
      const cells = row.map((value, place): Value => (value === UNCHANGED ? (known?.[place] ?? null) : value));
      rows.set(id, cells);
      if (!isPartial) asked.delete(id);
    }
  }
  return {
    rows: sorted(rows.keys()).map((id) => rows.get(id) ?? []),
    asked: sorted(asked),
    parked: sorted(parked),
  };
}

test(
  "I4: any changes in any batches end as one by one: rows, requests, parked keys",
  { timeout: 240_000 },
  async () => {
    await using bed = await DeliveryBed.open(await server.createDatabase());
    await bed.query("CREATE SCHEMA shop");
    let run = 0;
    const sequence = fc.array(change, { minLength: 1, maxLength: 30 });
    const cuts = fc.array(fc.integer({ min: 1, max: 10 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(sequence, cuts, fc.constantFrom(1, 2, 7, 1000), async (all, sizes, batchRows) => {
        // A refused row that a later one of its batch replaces is never tried: what is parked then depends on the batch.
        const changes = batchRows === 1 ? all : all.filter(({ row }) => row[2] !== refused);
        run += 1;
        const table = `t${run}`;
        await bed.query(
          `CREATE TABLE shop.${table} (id bigint PRIMARY KEY, name text, quantity int CHECK (quantity >= 0), note text)`,
        );
        const topic = await bed.publish(itemsSchema(table));
        const records = await topic.records(changes);
        let cut = 0;
        for (let start = 0; start < records.length; cut += 1) {
          const end = start + (sizes[cut % sizes.length] ?? 1);
          await bed.write(records.slice(start, end));
          start = end;
        }
        await using sink = openTarget(bed.url);
        await using running = bed.start({
          sink,
          batchRows,
          strategy: "append",
          target: (source) => (source.table === table ? { schema: "shop", table } : null),
        });
        await running.applied([{ topic: topic.topic, partition: 0, last: BigInt(records.length - 1) }]);
        expect(await found(bed, topic.topic, table)).toEqual(expected(changes));
      }),
      { numRuns: 25 },
    );
  },
);

async function found(bed: DeliveryBed, topic: string, table: string): Promise<End> {
  const keyed = await bed.query(
    `SELECT DISTINCT key_text FROM datatrace._datatrace_quarantine WHERE topic = $1 AND state = 'parked'`,
    [topic],
  );
  // An Avro long: the id is its second half, zigzag, in the sixth byte.
  const asked = await bed.query("SELECT get_byte(key, 5) / 2 FROM datatrace._datatrace_rereads WHERE topic = $1", [
    topic,
  ]);
  return {
    rows: await bed.rows(itemsSchema(table)),
    asked: sorted(asked.map(([id]) => Number(id))),
    parked: sorted(keyed.map(([text]) => Number(text?.slice("id=".length)))),
  };
}
