import { SourceText } from "@datatrace/core";
import type { CanonicalType, NativeType, Row, TableSchema, Value } from "@datatrace/core";
import { expect, test } from "vitest";
import { advanced, apply, claim, never, prepare, unitOf } from "./sink-fixture.ts";
import type { SinkHarness } from "./sink-harness.ts";

interface Kind {
  readonly type: CanonicalType;
  readonly native: NativeType;
  /** Different values, each with something that a careless writer would change. Three or more. */
  readonly values: readonly Value[];
  /** Not every kind can be a key everywhere. */
  readonly isKey: boolean;
}

const kinds: readonly Kind[] = [
  { type: { kind: "boolean" }, native: { name: "bool" }, values: [true, false, null], isKey: false },
  { type: { kind: "int16" }, native: { name: "int2" }, values: [-32768, 0, 32767], isKey: true },
  { type: { kind: "int32" }, native: { name: "int4" }, values: [-2147483648, 0, 2147483647], isKey: true },
  {
    type: { kind: "int64" },
    native: { name: "int8" },
    values: [-9223372036854775808n, 0, 9007199254740991, 9007199254740993n, 9223372036854775807n],
    isKey: true,
  },
  {
    type: { kind: "float32" },
    native: { name: "float4" },
    values: [-1.5, 0.10000000149011612, 3.4028234663852886e38],
    isKey: true,
  },
  {
    type: { kind: "float64" },
    native: { name: "float8" },
    values: [Number.NEGATIVE_INFINITY, -1.7976931348623157e308, 0.1, 5e-324, Number.NaN],
    isKey: true,
  },
  {
    type: { kind: "decimal", precision: 20, scale: 4 },
    native: { name: "numeric", length: 20, scale: 4 },
    values: ["-9999999999999999.9999", "0.0000", "0.1000", "1234567890123456.7890"],
    isKey: true,
  },
  {
    type: { kind: "decimal" },
    native: { name: "numeric" },
    values: ["-123456789012345678901234567890.000000000000000000001", "0", "1.50"],
    isKey: true,
  },
  {
    type: { kind: "string" },
    native: { name: "text" },
    values: ["", " ", "NULL", "null", "{}", 'a"b\\c', "new\nline\ttab", "it's", "😀 \u0301é", "a,b", "\u007f\u0001"],
    isKey: true,
  },
  {
    type: { kind: "string", length: 10 },
    native: { name: "varchar", length: 10 },
    values: ["", "a ", "😀😀😀😀😀😀😀😀😀😀"],
    isKey: true,
  },
  {
    type: { kind: "bytes" },
    native: { name: "bytea" },
    values: [Buffer.of(), Buffer.of(0), Buffer.of(92, 34, 255)],
    isKey: true,
  },
  { type: { kind: "date" }, native: { name: "date" }, values: [-719162, 0, 20819, 2932896], isKey: true },
  {
    type: { kind: "time", precision: 6 },
    native: { name: "time" },
    values: [0, 1, 86399999999, 86400000000],
    isKey: true,
  },
  {
    type: { kind: "time", precision: 3 },
    native: { name: "time", length: 3 },
    values: [0, 1000, 86399999000],
    isKey: true,
  },
  {
    type: { kind: "timestamp", precision: 6 },
    native: { name: "timestamp" },
    values: [-62135596800000000n, -1, 0, 1767323045678901, 253402300799999999n],
    isKey: true,
  },
  {
    type: { kind: "timestamptz", precision: 6 },
    native: { name: "timestamptz" },
    values: ["0001-01-01T00:00:00.000000Z", "2026-01-02T03:04:05.678901Z", "9999-12-31T23:59:59.999999Z"],
    isKey: true,
  },
  {
    type: { kind: "uuid" },
    native: { name: "uuid" },
    values: [
      "00000000-0000-0000-0000-000000000000",
      "3f2c8a0e-1b2c-4d3e-8f90-a1b2c3d4e5f6",
      "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ],
    isKey: true,
  },
  {
    type: { kind: "json" },
    native: { name: "json" },
    values: ['{"b": 1,  "a":[1.10,null]}', '"x\\u0000"', "12345678901234567890"],
    isKey: false,
  },
  {
    type: { kind: "enum", values: ["low", 'odd "one"', "it's high"] },
    native: { name: "Level" },
    values: ["low", 'odd "one"', "it's high"],
    isKey: true,
  },
  {
    type: { kind: "array", element: { kind: "int32" } },
    native: { name: "_int4" },
    values: [[], [1, null, -2], [2147483647]],
    isKey: false,
  },
  {
    type: { kind: "array", element: { kind: "string" } },
    native: { name: "_text" },
    values: [[], ["", "NULL", null, 'q"\\', "{a,b}", "€"], [" "]],
    isKey: false,
  },
  {
    type: { kind: "array", element: { kind: "enum", values: ["low", 'odd "one"', "it's high"] } },
    native: { name: "_Level" },
    values: [["low", 'odd "one"', null], [], ["it's high"]],
    isKey: false,
  },
  {
    type: { kind: "array", element: { kind: "bytes" } },
    native: { name: "_bytea" },
    values: [[Buffer.of(0, 92), null], [], [Buffer.of()]],
    isKey: false,
  },
  {
    type: { kind: "array", element: { kind: "timestamptz", precision: 6 } },
    native: { name: "_timestamptz" },
    values: [["2026-01-02T03:04:05.678901Z", null], [], ["0001-01-01T00:00:00.000000Z"]],
    isKey: false,
  },
];

function nameOf({ type, native }: Kind): string {
  return `${type.kind} (${native.name}${native.length === undefined ? "" : ` ${native.length}`})`;
}

const table = { schema: "shop", table: 'Odd "name"' };

/** Buffers of any kind as plain arrays, so that rows compare by content. */
function plain(rows: readonly Row[]): unknown {
  return rows.map((row) =>
    row.map(function content(value: Value): unknown {
      if (value instanceof Uint8Array) return [...value];
      return Array.isArray(value) ? (value as readonly Value[]).map(content) : value;
    }),
  );
}

/** Every canonical kind, as a value and as a key: written, found again, changed, deleted. */
export function describeSinkKeys(harness: SinkHarness): void {
  test.each(kinds.map((kind) => [nameOf(kind), kind] as const))(
    "I6: values of %s come back as they went",
    async (_, kind) => {
      await using bed = await harness.makeBed();
      await using sink = harness.openSink(bed.target);
      await sink.open(never);
      const schema: TableSchema = {
        name: { schema: "public", table: "odd" },
        columns: [
          { name: "id", type: { kind: "int32" }, native: { name: "int4" }, nullable: false },
          { name: 'The "value"', type: kind.type, native: kind.native, nullable: true },
        ],
        key: [0],
      };
      await prepare(sink, schema, table);
      const taken = await claim(sink);
      const rows = [...kind.values, null].map((value, id): Row => [id, value]);
      const changes = { target: table, schema, upserts: rows };
      expect(await apply(sink, unitOf(taken, changes))).toMatchObject({ kind: "applied" });
      expect(plain(await bed.rows(table, schema))).toEqual(plain(rows));
      // Over existing rows, in another order of values.
      const turned = rows.map(([id], place): Row => [id as Value, rows[(place + 1) % rows.length]?.[1] ?? null]);
      const again = unitOf(advanced(taken), { target: table, schema, upserts: turned });
      expect(await apply(sink, again)).toMatchObject({ kind: "applied" });
      expect(plain(await bed.rows(table, schema))).toEqual(plain(turned));
    },
  );

  test.each(kinds.filter(({ isKey }) => isKey).map((kind) => [nameOf(kind), kind] as const))(
    "I4: keys of %s find their rows",
    async (_, kind) => {
      await using bed = await harness.makeBed();
      await using sink = harness.openSink(bed.target);
      await sink.open(never);
      const schema: TableSchema = {
        name: { schema: "public", table: "odd" },
        columns: [
          { name: "note", type: { kind: "string" }, native: { name: "text" }, nullable: true },
          { name: 'The "key"', type: kind.type, native: kind.native, nullable: false },
          { name: "part", type: { kind: "int32" }, native: { name: "int4" }, nullable: false },
        ],
        key: [2, 1],
      };
      await prepare(sink, schema, table);
      const taken = await claim(sink);
      const rows = kind.values.map((value): Row => ["first", value, 1]);
      expect(await apply(sink, unitOf(taken, { target: table, schema, upserts: rows }))).toMatchObject({
        kind: "applied",
      });
      const changed = rows.map(([, value, part]): Row => ["second", value as Value, part as Value]);
      const changes = { target: table, schema, upserts: changed.slice(1), deletes: changed.slice(0, 1) };
      expect(await apply(sink, unitOf(advanced(taken), changes))).toMatchObject({ kind: "applied" });
      const left = plain(await bed.rows(table, schema)) as unknown[];
      expect(left).toHaveLength(rows.length - 1);
      expect(left).toEqual(expect.arrayContaining(plain(changed.slice(1)) as unknown[]));
    },
  );

  test("a table of nothing but its key", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    const schema: TableSchema = {
      name: { schema: "public", table: "tags" },
      columns: [
        { name: "a", type: { kind: "int32" }, native: { name: "int4" }, nullable: false },
        { name: "b", type: { kind: "string" }, native: { name: "text" }, nullable: false },
      ],
      key: [0, 1],
    };
    await prepare(sink, schema, table);
    const taken = await claim(sink);
    const rows: readonly Row[] = [
      [1, "x"],
      [1, "y"],
      [2, "x"],
    ];
    expect(await apply(sink, unitOf(taken, { target: table, schema, upserts: rows }))).toMatchObject({
      kind: "applied",
    });
    const changes = { target: table, schema, upserts: rows.slice(1, 2), deletes: rows.slice(0, 1) };
    expect(await apply(sink, unitOf(advanced(taken), changes))).toMatchObject({ kind: "applied" });
    expect(await bed.rows(table, schema)).toEqual(rows.slice(1));
  });

  test("I6: the source's text of a value is read by the target, or refused as one row", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    const schema: TableSchema = {
      name: { schema: "public", table: "odd" },
      columns: [
        { name: "id", type: { kind: "int32" }, native: { name: "int4" }, nullable: false },
        { name: "amount", type: { kind: "int32" }, native: { name: "int4" }, nullable: true },
      ],
      key: [0],
    };
    await prepare(sink, schema, table);
    const taken = await claim(sink);
    const good = unitOf(taken, { target: table, schema, upserts: [[1, new SourceText("42")]] });
    expect(await apply(sink, good)).toMatchObject({ kind: "applied" });
    expect(await bed.rows(table, schema)).toEqual([[1, 42]]);
    const bad = unitOf(advanced(taken), { target: table, schema, upserts: [[1, new SourceText("forty-two")]] });
    expect(await apply(sink, bad)).toMatchObject({
      kind: "rejected",
      scope: "row",
      error: { code: "sink.row_rejected" },
    });
    expect(await bed.rows(table, schema)).toEqual([[1, 42]]);
  });
}
