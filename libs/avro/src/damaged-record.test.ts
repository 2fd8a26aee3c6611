import { DataTraceError, headers, SourceText, UNCHANGED, type Value } from "@datatrace/core";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createEventDecoder, type DecodedEvent, type EventDecoder } from "./event-decoder.ts";
import type { EncodedEvent } from "./event-encoder.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { change, encoderOf, ordersRow as row, ordersTable as orders, stored, topic } from "./orders-events.ts";

const at = { topic, partition: 3 };

interface Written {
  readonly decoder: EventDecoder;
  readonly encoded: EncodedEvent;
}

async function written(): Promise<Written> {
  const registry = new MemoryRegistry();
  const decoder = createEventDecoder(registry, { withBefore: true });
  const encoded = (await encoderOf(registry, orders)).encode(change({ op: "u", before: row, after: row }));
  await decoder.decode(stored(encoded), at);
  return { decoder, encoded };
}

/** What decoding gives: the event, or the error. */
async function outcome(decode: () => DecodedEvent | Promise<DecodedEvent>): Promise<DecodedEvent | DataTraceError> {
  try {
    return await decode();
  } catch (error) {
    if (error instanceof DataTraceError) return error;
    throw error;
  }
}

test("I6: every truncation of a value and of a key is log.corrupt, with its place", async () => {
  const { decoder, encoded } = await written();
  const key = encoded.key as Buffer;
  const records = [
    ...Array.from({ length: encoded.value.length }, (_, to) => ({
      ...encoded,
      value: encoded.value.subarray(0, to),
    })),
    ...Array.from({ length: key.length }, (_, to) => ({ ...encoded, key: key.subarray(0, to) })),
    { ...encoded, value: Buffer.concat([encoded.value, Buffer.from([0])]) },
    { ...encoded, key: Buffer.concat([key, Buffer.from([0])]) },
  ];
  for (const record of records) {
    const error = await outcome(() => decoder.decode(stored(record), at));
    expect(error).toMatchObject({ code: "log.corrupt", detail: { topic, partition: 3, offset: "42" } });
  }
});

test("I6: changed bytes give an error of ours or a row whose every cell has its type", async () => {
  const { decoder, encoded } = await written();
  const changes = fc.array(fc.tuple(fc.nat(encoded.value.length - 6), fc.integer({ min: 1, max: 255 })), {
    minLength: 1,
    maxLength: 4,
  });
  const codes = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(changes, async (list) => {
      const value = Buffer.from(encoded.value);
      for (const [index, mask] of list) value[5 + index] = (value[5 + index] ?? 0) ^ mask;
      const result = await outcome(() => decoder.decode({ ...stored(encoded), value }, at));
      const code = result instanceof DataTraceError ? result.code : "decoded";
      codes.set(code, (codes.get(code) ?? 0) + 1);
      const rows = result instanceof DataTraceError || result.kind !== "change" ? [] : [result.before, result.after];
      for (const cells of rows) expect(cells === null ? null : cells.map(shape)).toSatisfy(isOrders);
    }),
    { numRuns: 3000, interruptAfterTimeLimit: 8_000 },
  );
  // The property has met both kinds.
  expect([...codes.keys()].toSorted()).toEqual(expect.arrayContaining(["decoded", "log.corrupt"]));
});

function shape(value: Value): string {
  if (value === null) return "null";
  if (value instanceof SourceText) return "text of source";
  if (value instanceof Uint8Array) return "bytes";
  if (Array.isArray(value)) return value.every((item) => item === null || typeof item === "string") ? "texts" : "?";
  return typeof value;
}

function isOrders(shapes: readonly string[] | null): boolean {
  return (
    shapes === null ||
    /^(number|bigint),string,string,boolean,(null|texts),(null|bytes),(null|string|text of source)$/.test(
      shapes.join(","),
    )
  );
}

test("I6: damaged UTF-8 is an error, the replacement character itself is not", async () => {
  const { decoder, encoded } = await written();
  const value = Buffer.from(encoded.value);
  value[value.lastIndexOf("é")] = 0xff;
  const error = await outcome(() => decoder.decode({ ...stored(encoded), value }, at));
  expect(error).toMatchObject({ code: "log.corrupt" });
  const registry = new MemoryRegistry();
  const real = (await encoderOf(registry, orders)).encode(change({ after: row.with(1, "a\uFFFDb") }));
  expect(await createEventDecoder(registry).decode(stored(real), at)).toMatchObject({ after: row.with(1, "a\uFFFDb") });
});

test("a header that names an unknown column", async () => {
  const { decoder, encoded } = await written();
  const record = { ...stored(encoded), headers: { [headers.unchanged]: "photo,gone" } };
  expect(await outcome(() => decoder.decode(record, at))).toMatchObject({ code: "log.corrupt" });
  const known = { ...stored(encoded), headers: { [headers.unchanged]: "photo" } };
  expect(await outcome(() => decoder.decode(known, at))).toMatchObject({ after: row.with(5, UNCHANGED) });
});

test("I8: an error names parts, never a value", async () => {
  const { decoder, encoded } = await written();
  for (let to = 0; to < encoded.value.length; to += 1) {
    const record = { ...stored(encoded), value: encoded.value.subarray(0, to) };
    const error = await outcome(() => decoder.decode(record, at));
    expect(error instanceof Error ? error.message : "").not.toMatch(/9007199254740993|12\.50|eu[^a-z]/);
  }
});
