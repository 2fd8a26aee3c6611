import { createEventDecoder, keyIdentity, rowKeyIdentity } from "@datatrace/avro";
import { headers, type Row, type RowChange, type TableSchema, UNCHANGED } from "@datatrace/core";
import { RecordingLogger } from "@datatrace/testkit";
import { expect, test } from "vitest";
import { ChunkWindow } from "./chunk-window.ts";
import { Draft } from "./draft.ts";
import { EventWriter } from "./event-writer.ts";
import { Interleaving } from "./model/interleaving.ts";
import { ModelLog } from "./model/model-log.ts";
import { SeededRandom } from "./model/seeded-random.ts";
import { TableSet, type TableBinding } from "./table-set.ts";

const schema: TableSchema = {
  name: { schema: "public", table: "t" },
  columns: [
    { name: "id", type: { kind: "decimal" }, native: { name: "numeric" }, nullable: false },
    { name: "small", type: { kind: "int32" }, native: { name: "int4" }, nullable: true },
    { name: "large", type: { kind: "string" }, native: { name: "text" }, nullable: true },
  ],
  key: [0],
};
const origin = { tsUs: 1, sequence: null, fields: [] };
const signal = new AbortController().signal;

interface Bench {
  readonly log: ModelLog;
  readonly draft: Draft;
  readonly binding: TableBinding;
  readonly window: ChunkWindow;
  write(change: RowChange): void;
}

async function bench(): Promise<Bench> {
  const random = new SeededRandom(1);
  const interleaving = new Interleaving(random);
  const log = new ModelLog(interleaving, random, { codes: [], chance: 0 });
  const descriptor = { connector: "postgresql", database: "d", fields: [] };
  const tables = new TableSet({ descriptor, prefix: "p", registry: log }, "state", new RecordingLogger());
  const name = { name: schema.name, topic: "p.public.t", partitions: 3, epoch: 1 };
  const adding = tables.add(name, schema, signal);
  const released = setInterval(() => interleaving.release(), 0);
  const table = await adding;
  table.phase = "streaming";
  const binding = await tables.bind(schema, "stream", signal);
  clearInterval(released);
  if (binding === null) throw new Error("the table is bound");
  const window = new ChunkWindow();
  table.windows.add(window);
  const draft = new Draft();
  const writer = new EventWriter(tables);
  return { log, draft, binding, window, write: (change) => writer.write(draft, binding, change) };
}

async function decoded({ log, draft }: Bench) {
  const decoder = createEventDecoder(log);
  return await Promise.all(
    draft.records.map(async ({ topic, partition, key, value, headers: given = {} }, index) => {
      const event = await decoder.decode({ offset: BigInt(index), key, value, headers: given }, { topic, partition });
      return event.kind === "tombstone"
        ? { op: "tombstone", key: event.key, after: null, headers: given, partition }
        : { op: event.op, key: event.key, after: event.after, headers: given, partition };
    }),
  );
}

function update(after: Row, oldKey: Row | null = null, before: Row | null = null): RowChange {
  return { kind: "update", schema, before, oldKey, after, origin };
}

function identity(id: string): string {
  return rowKeyIdentity(schema, [id, null, null]);
}

test("I4: a delete is followed by the tombstone of its key", async () => {
  const it = await bench();
  it.write({ kind: "delete", schema, before: ["1", null, null], beforeIsFull: false, origin });
  const events = await decoded(it);
  expect(events.map(({ op, key: cells }) => [op, cells])).toEqual([
    ["d", ["1"]],
    ["tombstone", ["1"]],
  ]);
  expect(events[0]?.partition).toBe(events[1]?.partition);
  expect(it.window.resolve(identity("1"), ["1", 1, "x"])).toBeNull();
});

test("I4: a change of the key is delete, tombstone and insert, next to each other and naming each other", async () => {
  const it = await bench();
  it.write(update(["2", 5, "x"], ["1", null, null]));
  const events = await decoded(it);
  expect(events.map(({ op, key: cells, headers: given }) => [op, cells, given])).toEqual([
    ["d", ["1"], { [headers.newKey]: '{"id":"2"}' }],
    ["tombstone", ["1"], {}],
    ["c", ["2"], { [headers.oldKey]: '{"id":"1"}' }],
  ]);
  expect(it.window.resolve(identity("1"), ["1", 1, "x"])).toBeNull();
  expect(it.window.resolve(identity("2"), ["2", 1, "x"])).toBeNull();
  expect(it.binding.table.rereads.size).toBe(0);
});

test("I3: a key change without all columns is completed by a re-read, never from a chunk's row of that key", async () => {
  const it = await bench();
  it.write(update(["2", 5, UNCHANGED], ["1", null, null]));
  const [, , inserted] = await decoded(it);
  expect(inserted?.headers).toEqual({
    [headers.oldKey]: '{"id":"1"}',
    [headers.unchanged]: "large",
    [headers.rFollows]: "*",
  });
  expect(it.binding.table.rereads.own()).toEqual([["2"]]);
  // The chunk may have an earlier row of this key.
  expect(it.window.resolve(identity("2"), ["2", 1, "another row's"])).toBeNull();
});

test("a key that the source prints anew, and that is equal, is not another key", async () => {
  const it = await bench();
  it.write(update(["1.00", 5, "x"], ["1.0", null, null]));
  expect((await decoded(it)).map(({ op }) => op)).toEqual(["u"]);
});

test("I3: columns left out are filled from the old row where the source sent it", async () => {
  const it = await bench();
  it.write(update(["1", 5, UNCHANGED], null, ["1", 4, "old"]));
  const [event] = await decoded(it);
  expect(event).toMatchObject({ op: "u", after: ["1", 5, "old"], headers: {} });
  expect(it.window.resolve(identity("1"), ["1", 4, "chunk"])).toBeNull();
});

test("a partial event says that the row follows only where one does", async () => {
  const it = await bench();
  it.write(update(["1", 5, UNCHANGED]));
  it.binding.table.rereads.ask(identity("1"), ["1"]);
  it.write(update(["1", 6, UNCHANGED]));
  it.write(update(["9", 6, UNCHANGED]));
  it.binding.table.readWhole();
  it.write(update(["9", 7, UNCHANGED]));
  const events = await decoded(it);
  expect(events.map(({ headers: given }) => given[headers.rFollows])).toEqual([undefined, "*", undefined, "*"]);
  expect(events.map(({ headers: given }) => given[headers.unchanged])).toEqual(["large", "large", "large", "large"]);
  expect(it.window.resolve(identity("9"), ["9", 1, "chunk"])).toEqual(["9", 7, "chunk"]);
});

test("I4: equal keys have one partition and one identity", async () => {
  const it = await bench();
  for (const id of ["1", "1.0", "1.00"]) it.write({ kind: "insert", schema, after: [id, 1, null], origin });
  expect(new Set(it.draft.records.map(({ partition }) => partition)).size).toBe(1);
  expect(new Set(it.draft.records.map((record) => keyIdentity(record.key ?? new Uint8Array()))).size).toBe(1);
});
