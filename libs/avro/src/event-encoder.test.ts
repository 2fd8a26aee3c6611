import {
  type ChangeOrigin,
  type Column,
  DataTraceError,
  headers,
  type Row,
  SourceText,
  type TableSchema,
  UNCHANGED,
  type Value,
} from "@datatrace/core";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { arbitraryRow, arbitraryTable } from "@datatrace/testkit/arbitrary-table";
import { avscType } from "@datatrace/testkit/avsc-type";
import { avscRecord, fieldNames, typesOf } from "./avsc-oracle.ts";
import { createEventEncoder, type EventChange, type EventEncoder } from "./event-encoder.ts";
import { rowKeyIdentity } from "./key-encoder.ts";
import { postgresDescriptor, postgresOrigin } from "./postgres-origin.ts";
import { UnexpectedNull } from "./row-writer.ts";
import { avroFromTable } from "./table-avro.ts";
import { keyIdentity, partitionOfKey } from "./wire-format.ts";

const topic = "shop.public.orders";
const processedTsUs = 1_767_323_045_999_999;

function encoderOf(schema: TableSchema): EventEncoder {
  return createEventEncoder({
    schema,
    descriptor: postgresDescriptor,
    version: "1.0.0",
    prefix: "shop",
    keySchemaId: schema.key.length === 0 ? null : 258,
    valueSchemaId: 0x7f_00_00_01,
  });
}

function change(part: Partial<EventChange>): EventChange {
  return { op: "c", before: null, after: null, origin: postgresOrigin, snapshot: "false", processedTsUs, ...part };
}

function table(...columns: readonly (Partial<Column> & Pick<Column, "type">)[]): TableSchema {
  return {
    name: { schema: "public", table: "orders" },
    key: [0],
    columns: columns.map((column, at) => ({ name: `c${at}`, native: { name: "int4" }, nullable: false, ...column })),
  };
}

function keyBytes(column: Partial<Column> & Pick<Column, "type">, value: Value): string {
  return rowKeyIdentity(table(column), [value]);
}

const nullableText = fc.option(fc.string({ unit: "binary" }));
const nullableLong = fc.option(
  fc.oneof<fc.Arbitrary<number | bigint>[]>(
    fc.nat(),
    fc.maxSafeNat(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  ),
);
const origins: fc.Arbitrary<ChangeOrigin> = fc.record({
  tsUs: fc.integer({ min: 0, max: 4_102_444_800_000_000 }),
  sequence: nullableText,
  fields: fc.tuple(
    fc.constant("public"),
    fc.string({ unit: "binary" }),
    nullableLong,
    nullableLong,
    nullableLong,
    nullableText,
    nullableLong,
  ),
});

function long(value: unknown): bigint | null {
  return value === null ? null : BigInt(value as number | bigint);
}

function avscEnvelope(schema: string, described: TableSchema, event: EventChange): object {
  const names = fieldNames(schema);
  const types = typesOf(described);
  const row = (cells: Row | null): object | null => (cells === null ? null : avscRecord(names, types, cells));
  const { tsUs, sequence, fields } = event.origin;
  const [namespace, tableName, txId, lsn, xmin, origin, originLsn] = fields;
  return {
    before: row(event.before),
    after: row(event.after),
    source: {
      version: "1.0.0",
      connector: "postgresql",
      name: "shop",
      ts_ms: BigInt(tsUs) / 1000n,
      snapshot: event.snapshot,
      db: "shop",
      sequence,
      ts_us: BigInt(tsUs),
      ts_ns: BigInt(tsUs) * 1000n,
      schema: namespace,
      table: tableName,
      txId: long(txId),
      lsn: long(lsn),
      xmin: long(xmin),
      origin,
      origin_lsn: long(originLsn),
    },
    transaction: null,
    op: event.op,
    ts_ms: BigInt(event.processedTsUs) / 1000n,
    ts_us: BigInt(event.processedTsUs),
    ts_ns: BigInt(event.processedTsUs) * 1000n,
  };
}

function canonical(column: Column, value: Value): Value {
  if (Array.isArray(value)) {
    const element = (column.type as { element: Column["type"] }).element;
    const name = column.native.name === "_bpchar" ? "bpchar" : "";
    return value.map((item: Value) =>
      item === null ? null : canonical({ ...column, type: element, native: { name } }, item),
    );
  }
  const { type } = column;
  if (type.kind === "decimal") {
    const { precision = 0, scale = -1 } = type;
    const fixed = precision > 0 && scale >= 0 && scale <= precision;
    return fixed ? value : (value as string).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
  }
  if (value === 0) return 0;
  return type.kind === "string" && column.native.name === "bpchar" ? (value as string).replace(/ +$/, "") : value;
}

describe("held to avsc", () => {
  const events = arbitraryTable.chain((schema) =>
    fc.tuple(
      fc.constant(schema),
      fc.array(
        fc.record({
          op: fc.constantFrom("c" as const, "u" as const, "d" as const, "r" as const),
          old: arbitraryRow(schema, false),
          row: arbitraryRow(schema, false),
          origin: origins,
          snapshot: fc.constantFrom("false" as const, "incremental" as const, "first_in_data_collection" as const),
          sameOrigin: fc.boolean(),
        }),
        { minLength: 1, maxLength: 4 },
      ),
    ),
  );

  test("every byte of an envelope is avsc's, over random tables and rows", () => {
    fc.assert(
      fc.property(events, ([schema, list]) => {
        const { value } = avroFromTable({ topic, schema, descriptor: postgresDescriptor });
        const type = avscType(value);
        const encoder = encoderOf(schema);
        let last: ChangeOrigin = postgresOrigin;
        for (const { op, old, row, origin, snapshot, sameOrigin } of list) {
          if (!sameOrigin) last = origin;
          const event = change({
            op,
            before: op === "d" || op === "u" ? old : null,
            after: op === "d" ? null : row,
            origin: last,
            snapshot,
          });
          const encoded = encoder.encode(event);
          expect(encoded.value.subarray(0, 5).toString("hex")).toBe("007f000001");
          const expected = type.toBuffer(avscEnvelope(value, schema, event));
          expect(encoded.value.subarray(5).toString("hex")).toBe(expected.toString("hex"));
          expect(encoded.headers).toEqual({});
        }
      }),
      { numRuns: 200, interruptAfterTimeLimit: 8_000 },
    );
  });

  test("a key of any types is avsc's too, decimals and floats in their one form", () => {
    const keyed = arbitraryTable
      .filter(({ key }) => key.length > 0)
      .chain((schema) => fc.tuple(fc.constant(schema), arbitraryRow(schema, false)));
    fc.assert(
      fc.property(keyed, ([schema, row]) => {
        const { key: json } = avroFromTable({ topic, schema, descriptor: postgresDescriptor });
        const { key, keyHash } = encoderOf(schema).encode(change({ after: row }));
        const columns = schema.key.map((index) => schema.columns[index] as Column);
        const cells = schema.key.map((index, at) => canonical(columns[at] as Column, row[index] ?? null));
        const types = columns.map((column) => column.type);
        const expected = avscType(json ?? "").toBuffer(avscRecord(fieldNames(json ?? ""), types, cells));
        expect(key?.toString("hex")).toBe(`0000000102${expected.toString("hex")}`);
        expect(keyHash % 12).toBe(partitionOfKey(key as Buffer, 12));
        expect(rowKeyIdentity(schema, row)).toBe(keyIdentity(key as Buffer));
      }),
      { numRuns: 150, interruptAfterTimeLimit: 8_000 },
    );
  });

  test.each([31, 32, 33, 63, 64, 8191, 65_530, 70_000, 2_000_000])("a text of %i characters", (length) => {
    const schema = table({ type: { kind: "int32" } }, { type: { kind: "string" }, nullable: true });
    const { value } = avroFromTable({ topic, schema, descriptor: postgresDescriptor });
    const encoder = encoderOf(schema);
    for (const text of ["x".repeat(length), "ü".repeat(length), `${"x".repeat(length - 1)}漢`]) {
      const event = change({ after: [1, text] });
      const expected = avscType(value).toBuffer(avscEnvelope(value, schema, event));
      expect(encoder.encode(event).value.subarray(5).equals(expected)).toBe(true);
    }
  });
});

test("an event encoded later never changes one encoded before", () => {
  const schema = table({ type: { kind: "int32" } }, { type: { kind: "string" } });
  const encoder = encoderOf(schema);
  const encoded = Array.from({ length: 3000 }, (_, i) => encoder.encode(change({ after: [i, `row ${i}`.repeat(5)] })));
  const copies = encoded.map(({ key, value }) => [key?.toString("hex"), value.toString("hex")]);
  for (let i = 0; i < 3000; i += 1) encoder.encode(change({ after: [-i, "y".repeat(i)] }));
  expect(encoded.map(({ key, value }) => [key?.toString("hex"), value.toString("hex")])).toEqual(copies);
});

describe("what Avro cannot hold", () => {
  const schema = table(
    { type: { kind: "int32" } },
    { name: "a, b%", type: { kind: "string" }, nullable: true },
    { name: "pr-ice", type: { kind: "decimal", precision: 10, scale: 2 } },
    { name: "ids", type: { kind: "array", element: { kind: "int32" } } },
  );

  test("an unchanged column is Debezium's placeholder, named in a header", () => {
    const { value, headers: noted } = encoderOf(schema).encode(
      change({ op: "u", after: [1, UNCHANGED, "1.00", UNCHANGED] }),
    );
    expect(noted).toEqual({ [headers.unchanged]: "a%2C%20b%25,ids" });
    expect(value.toString("latin1")).toContain("__debezium_unavailable_value");
  });

  test("headers of one event never stand on the next", () => {
    const encoder = encoderOf(schema);
    const plain = change({ after: [1, null, "1.00", []] });
    encoder.encode(change({ op: "u", after: [1, UNCHANGED, new SourceText("NaN"), []] }));
    expect(encoder.encode(plain).headers).toEqual({});
    expect(() => encoder.encode(change({ after: [1, UNCHANGED, null, []] }))).toThrow(UnexpectedNull);
    expect(encoder.encode(plain).headers).toEqual({});
  });

  test("I6: a value beyond its type is named in a header with the source's text", () => {
    const { headers: noted } = encoderOf(schema).encode(
      change({ after: [1, new SourceText("\u0001"), new SourceText("NaN"), []], headers: { [headers.rFollows]: "*" } }),
    );
    expect(noted).toEqual({
      [`${headers.textPrefix}a%2C%20b%25`]: "\u0001",
      [`${headers.textPrefix}pr-ice`]: "NaN",
      [headers.rFollows]: "*",
    });
  });

  test("the old row's texts have a header of their own", () => {
    const event = change({ op: "u", before: [1, null, new SourceText("NaN"), []], after: [1, null, "1.00", []] });
    expect(encoderOf(schema).encode(event).headers).toEqual({ [`${headers.beforeTextPrefix}pr-ice`]: "NaN" });
  });

  test("a null in a required column is told apart, and the next event is whole", () => {
    const encoder = encoderOf(schema);
    const good = change({ after: [1, null, "1.00", []] });
    const before = encoder.encode(good);
    expect(() => encoder.encode(change({ after: [1, null, null, []] }))).toThrow(
      expect.objectContaining({ column: 2 }) as UnexpectedNull,
    );
    expect(encoder.encode(good)).toEqual(before);
  });

  test("a text with half a surrogate pair is refused rather than changed", () => {
    expect(() => encoderOf(schema).encode(change({ after: [1, "\uD800", "1.00", []] }))).toThrow(/surrogate/);
  });

  test("a decimal is never rounded", () => {
    const encoder = encoderOf(schema);
    const bytes = (total: string): string =>
      encoder.encode(change({ after: [1, null, total, []] })).value.toString("hex");
    expect(bytes("1.5")).toBe(bytes("1.50"));
    expect(bytes("1.500")).toBe(bytes("1.50"));
    expect(bytes("123456789012345.600")).toBe(bytes("123456789012345.60"));
    expect(() => bytes("1.505")).toThrow(/more digits/);
    expect(() => bytes("1e3")).toThrow(/plain notation/);
    expect(() => bytes("")).toThrow(/plain notation/);
  });

  test("a delete with only its key holds nulls and zeros elsewhere", () => {
    const { value: json } = avroFromTable({ topic, schema, descriptor: postgresDescriptor });
    const { value, headers: noted } = encoderOf(schema).encode(change({ op: "d", before: [7, null, null, null] }));
    expect(avscType(json).fromBuffer(value.subarray(5))).toMatchObject({
      before: { c0: 7, a__b_: null, pr_ice: Buffer.from([0]), ids: [] },
      after: null,
    });
    expect(noted).toEqual({});
  });
});

describe("keys are canonical", () => {
  test.each([
    ["1.500", "1.5"],
    ["100", "100.0"],
    ["0", "0.00"],
    ["-12345678901234567890.5000", "-12345678901234567890.5"],
    ["12345678901234567890.0", "12345678901234567890"],
  ])("I4: numeric %s is the key %s", (one, other) => {
    const column = { type: { kind: "decimal" } } as const;
    expect(keyBytes(column, one)).toBe(keyBytes(column, other));
  });

  test("I4: numerics that differ stay apart", () => {
    const column = { type: { kind: "decimal" } } as const;
    const texts = ["1", "10", "100", "0.1", "0.01", "-1", "1.5", "15", "255", "256", "-128", "128"];
    expect(new Set(texts.map((text) => keyBytes(column, text))).size).toBe(texts.length);
  });

  test("I4: a decimal with a scale has one form", () => {
    const column = { type: { kind: "decimal", precision: 10, scale: 2 } } as const;
    expect(keyBytes(column, "1.5")).toBe(keyBytes(column, "1.50"));
  });

  test("I4: -0 is the key 0", () => {
    expect(keyBytes({ type: { kind: "float64" } }, -0)).toBe(keyBytes({ type: { kind: "float64" } }, 0));
    expect(keyBytes({ type: { kind: "float32" } }, -0)).toBe(keyBytes({ type: { kind: "float32" } }, 0));
  });

  test("I4: the blanks that pad a char(n) are no part of a key, those of a varchar are", () => {
    const char = { type: { kind: "string" }, native: { name: "bpchar" } } as const;
    const varchar = { type: { kind: "string" }, native: { name: "varchar" } } as const;
    expect(keyBytes(char, "a  ")).toBe(keyBytes(char, "a"));
    expect(keyBytes(varchar, "a  ")).not.toBe(keyBytes(varchar, "a"));
  });

  test("I6: a key that the log cannot hold is refused, without its value", () => {
    const schema = table({ type: { kind: "timestamp", precision: 6 } });
    const encode = (): unknown => encoderOf(schema).encode(change({ after: [new SourceText("infinity")] }));
    expect(encode).toThrow(DataTraceError);
    expect(encode).toThrow(expect.objectContaining({ code: "source.key_unsupported" }) as Error);
    expect(encode).toThrow(/^(?!.*infinity).*table=public.orders column=c0/);
  });

  test("a table without a key has none", () => {
    const schema: TableSchema = { ...table({ type: { kind: "int32" } }), key: [] };
    expect(encoderOf(schema).encode(change({ after: [1] }))).toMatchObject({ key: null, keyHash: 0 });
  });
});
