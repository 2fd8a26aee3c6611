import { SourceText, UNCHANGED } from "@datatrace/core";
import type { TableSchema, Value } from "@datatrace/core";
import { expect, test } from "vitest";
import { eventLine } from "./event-line.ts";

const place = { topic: "shop.public.orders", partition: 2 };
const record = { offset: 7n, key: null, value: null, headers: {} };

function schemaOf(count: number): TableSchema {
  const columns = Array.from({ length: count }, (_, index) => ({
    name: `c"${index}`,
    type: { kind: "string" } as const,
    native: { name: "text" },
    nullable: true,
  }));
  return { name: { schema: "public", table: "orders" }, columns, key: [0] };
}

test("a change is JSON with its place and each column, whatever its cells are", () => {
  const cells: readonly Value[] = [
    1,
    12_345_678_901_234_567_890n,
    'say "hi"\n',
    null,
    UNCHANGED,
    new SourceText("NaN"),
    Number.NEGATIVE_INFINITY,
    -0,
    new Uint8Array([1, 2, 255]),
    ["a", null, 3n],
  ];
  const line = eventLine(
    {
      kind: "change",
      op: "u",
      schema: schemaOf(cells.length),
      key: [1],
      before: null,
      after: cells,
      partial: true,
      tsUs: 1_700_000_000_123_456,
      txId: 9,
      lsn: 10n,
      snapshot: "false",
      rFollows: null,
    },
    record,
    place,
  );
  expect(line).toContain('"c\\"1":12345678901234567890,');
  expect(line).toContain('"c\\"7":-0,');
  expect(JSON.parse(line)).toMatchObject({
    topic: "shop.public.orders",
    partition: 2,
    offset: 7,
    op: "u",
    at: "2023-11-14T22:13:20.123Z",
    txId: 9,
    lsn: 10,
    key: [1],
    before: null,
    after: {
      'c"0': 1,
      'c"2': 'say "hi"\n',
      'c"3': null,
      'c"4': { unchanged: true },
      'c"5': { text: "NaN" },
      'c"6': "-Infinity",
      'c"8': "AQL/",
      'c"9': ["a", null, 3],
    },
  });
});

test("a tombstone says so, with its key", () => {
  const line = eventLine({ kind: "tombstone", key: [1, "eu"] }, record, place);
  expect(JSON.parse(line)).toEqual({ ...place, offset: 7, op: "tombstone", key: [1, "eu"] });
});
