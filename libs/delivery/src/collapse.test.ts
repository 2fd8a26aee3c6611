import { UNCHANGED } from "@datatrace/core";
import type { Row, TableSchema, Value } from "@datatrace/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Collapse } from "./collapse.ts";
import type { RowEvent } from "./row-event.ts";

const schema: TableSchema = { name: { schema: "public", table: "t" }, columns: [], key: [0] };

function event(keyId: string, change: Pick<RowEvent, "kind" | "row" | "ask">, offset = 0n): RowEvent {
  const key = Buffer.from(keyId);
  const partial = change.row.includes(UNCHANGED);
  const record = { offset, key, value: null, headers: {} };
  return { offset, schema, partial, keyId, key, commitTsUs: null, record, ...change };
}

function keyOf([key]: Row): string {
  return typeof key === "string" ? key : "";
}

/** A target of one table, and the keys that were asked for: what the contract of a sink says of both. */
class Model {
  readonly rows = new Map<string, Row>();
  readonly asked = new Set<string>();

  apply(events: readonly RowEvent[]): void {
    const collapse = new Collapse("t");
    for (const one of events) collapse.add(one);
    const { deletes, upserts, partials } = collapse.changes();
    for (const keyId of collapse.settledKeys()) this.asked.delete(keyId);
    for (const row of deletes) this.rows.delete(keyOf(row));
    for (const row of upserts) {
      if (row.includes(UNCHANGED)) throw new Error("an upsert is a whole row");
      this.rows.set(keyOf(row), row);
    }
    for (const { row, key, ask } of partials) {
      const keyId = Buffer.from(key).toString();
      const known = this.rows.get(keyId);
      if (known !== undefined) {
        this.rows.set(
          keyId,
          row.map((value, index): Value => (value === UNCHANGED ? (known[index] ?? null) : value)),
        );
      } else if (ask) this.asked.add(keyId);
    }
  }
}

const cell = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 0, max: 5 }) }, fc.constant(null));
const partialCell = fc.oneof({ weight: 1, arbitrary: cell }, fc.constant(UNCHANGED));

const change = fc.constantFrom("a", "b", "c").chain((keyId) =>
  fc.oneof(
    fc.tuple(cell, cell).map((cells) => event(keyId, { kind: "upsert", row: [keyId, ...cells], ask: true })),
    fc
      .tuple(partialCell, partialCell, fc.boolean())
      .map(([one, two, ask]) => event(keyId, { kind: "upsert", row: [keyId, one, two], ask })),
    fc.constant(event(keyId, { kind: "delete", row: [keyId, null, null], ask: true })),
  ),
);

test("I4: changes folded in batches of any size end in the same rows and requests as one by one", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), sizes, (changes, cuts) => {
      const alone = new Model();
      for (const one of changes) alone.apply([one]);
      const folded = new Model();
      let start = 0;
      for (let batch = 0; start < changes.length; batch += 1) {
        const size = cuts[batch % cuts.length] ?? 1;
        folded.apply(changes.slice(start, start + size));
        start += size;
      }
      expect(folded.rows).toEqual(alone.rows);
      expect(folded.asked).toEqual(alone.asked);
    }),
    { numRuns: 5000 },
  );
});

test("a full row forgets a delete before it, and a partial one does not", () => {
  const collapse = new Collapse("t");
  collapse.add(event("a", { kind: "delete", row: ["a", null], ask: true }));
  collapse.add(event("a", { kind: "upsert", row: ["a", 1], ask: true }));
  collapse.add(event("b", { kind: "delete", row: ["b", null], ask: true }));
  collapse.add(event("b", { kind: "upsert", row: ["b", UNCHANGED], ask: true }));
  const { deletes, upserts, partials } = collapse.changes();
  expect([...deletes]).toEqual([["b", null]]);
  expect([...upserts]).toEqual([["a", 1]]);
  expect(partials.map(({ row }) => row)).toEqual([["b", UNCHANGED]]);
});

test("I3: a delete settles an earlier request, whatever comes after it", () => {
  const collapse = new Collapse("t");
  collapse.add(event("a", { kind: "delete", row: ["a", null], ask: true }));
  collapse.add(event("a", { kind: "upsert", row: ["a", UNCHANGED], ask: false }));
  collapse.add(event("b", { kind: "upsert", row: ["b", UNCHANGED], ask: false }));
  expect([...collapse.settledKeys()]).toEqual(["a"]);
});

test("one row is left of a key, whatever happened to it", () => {
  const collapse = new Collapse("t");
  for (let turn = 0; turn < 100; turn += 1) {
    collapse.add(event("a", { kind: "upsert", row: ["a", turn], ask: true }));
  }
  const { deletes, upserts, partials } = collapse.changes();
  expect([[...deletes], upserts.slice(0, 5), partials]).toEqual([[], [["a", 99]], []]);
  expect([deletes.length, upserts.length]).toEqual([0, 1]);
});
