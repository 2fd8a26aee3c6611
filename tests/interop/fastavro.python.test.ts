import { avroFromTable, createEventEncoder, type EventChange } from "@datatrace/avro";
import type { TableSchema } from "@datatrace/core";
import { arbitraryRow, arbitraryTable } from "@datatrace/testkit/arbitrary-table";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { everyType } from "./every-type.ts";
import { change, expectedEnvelope, expectedKey, fieldNames } from "./expected-event.ts";
import { decodeWithFastavro, type WrittenRecords } from "./fastavro.ts";
import { postgresDescriptor } from "./published-table.ts";

const topic = "shop.public.orders";

interface Case {
  readonly schema: TableSchema;
  readonly changes: readonly EventChange[];
}

/** The schemas, the records of both, and what fastavro must say. */
function written({ schema, changes }: Case): readonly (WrittenRecords & { readonly expected: readonly unknown[] })[] {
  const schemas = avroFromTable({ topic, schema, descriptor: postgresDescriptor });
  const keySchemaId = schemas.key === null ? null : 7;
  const encoder = createEventEncoder({
    schema,
    descriptor: postgresDescriptor,
    version: "1.0.0",
    prefix: "shop",
    keySchemaId,
    valueSchemaId: 70_000,
  });
  const events = changes.map((one) => encoder.encode(one));
  const names = fieldNames(schemas);
  const values = {
    schema: JSON.parse(schemas.value) as unknown,
    records: events.map((event) => event.value),
    expected: changes.map((one) => ({ id: 70_000, datum: expectedEnvelope(schema, names.value, one) })),
  };
  if (schemas.key === null) return [values];
  const keys = {
    schema: JSON.parse(schemas.key) as unknown,
    records: events.flatMap((event) => event.key ?? []),
    expected: changes.map((one) => ({ id: 7, datum: expectedKey(schema, names.key, one.after ?? one.before ?? []) })),
  };
  return [keys, values];
}

async function compare(cases: readonly Case[]): Promise<number> {
  const batches = cases.flatMap(written);
  const answers = await decodeWithFastavro(batches.map(({ schema, records }) => ({ schema, records })));
  expect(answers).toEqual(batches.map(({ expected }) => expected));
  return batches.reduce((sum, { records }) => sum + records.length, 0);
}

describe("fastavro reads what we write", () => {
  test("every type, with its extremes and its nulls, as insert, update, delete and snapshot row", async () => {
    const { schema, rows } = everyType;
    const first = rows[0] ?? [];
    const changes = [
      ...rows.map((after) => change({ after })),
      change({ op: "r", after: first, snapshot: "incremental" }),
      change({ op: "u", before: first, after: first }),
      change({ op: "d", before: first }),
    ];
    expect(await compare([{ schema, changes }])).toBe(changes.length * 2);
  });

  test("random tables and rows", async () => {
    // A key's own form (no zeros at the end of a numeric, no -0) is the subject of other tests: here keys are plain.
    const plainKeys = arbitraryTable.map((schema) => ({
      ...schema,
      key: schema.key.filter((index) => /^(int|uuid|date|boolean|bytes)/.test(schema.columns[index]?.type.kind ?? "")),
    }));
    const cases = fc.sample(
      plainKeys.chain((schema) =>
        fc.array(arbitraryRow(schema, false), { minLength: 1, maxLength: 4 }).map((rows): Case => ({
          schema,
          changes: rows.map((after) => change({ after })),
        })),
      ),
      { numRuns: 150, seed: 20_261_122 },
    );
    expect(await compare(cases)).toBeGreaterThan(cases.length);
  });
});
