/**
 * Encoding and decoding of envelopes of 10 columns, beside avsc on the same events in the same run. One JSON line per
 * measurement: best of several rounds, in events per second of CPU time (of all threads, the collector's too), so that what
 * else the machine does counts less. `node libs/avro/bench/event-speed.ts`
 */
import type { SchemaRegistry, SourceDescriptor, StoredRecord, TableSchema } from "@datatrace/core";
import { avroFromTable, createEventDecoder, createEventEncoder, type EventChange } from "@datatrace/avro";
import avsc from "avsc";

const rounds = 8;
const perRound = 200_000;
const distinct = 2_000;

const descriptor: SourceDescriptor = {
  connector: "postgresql",
  database: "shop",
  fields: [
    { name: "schema", type: "string" },
    { name: "table", type: "string" },
    { name: "txId", type: "nullable-long" },
    { name: "lsn", type: "nullable-long" },
    { name: "xmin", type: "nullable-long" },
    { name: "origin", type: "nullable-string" },
    { name: "origin_lsn", type: "nullable-long" },
  ],
};

const schema: TableSchema = {
  name: { schema: "public", table: "orders" },
  key: [0],
  columns: [
    { name: "id", type: { kind: "int64" }, native: { name: "int8" }, nullable: false },
    { name: "customer", type: { kind: "int32" }, native: { name: "int4" }, nullable: false },
    { name: "status", type: { kind: "string", length: 20 }, native: { name: "varchar", length: 20 }, nullable: false },
    { name: "email", type: { kind: "string" }, native: { name: "text" }, nullable: true },
    { name: "street", type: { kind: "string" }, native: { name: "text" }, nullable: true },
    {
      name: "total",
      type: { kind: "decimal", precision: 12, scale: 2 },
      native: { name: "numeric", length: 12, scale: 2 },
      nullable: false,
    },
    { name: "paid", type: { kind: "boolean" }, native: { name: "bool" }, nullable: false },
    { name: "weight", type: { kind: "float64" }, native: { name: "float8" }, nullable: true },
    { name: "placed", type: { kind: "timestamp", precision: 6 }, native: { name: "timestamp" }, nullable: false },
    { name: "note", type: { kind: "string" }, native: { name: "text" }, nullable: true },
  ],
};

const schemas = avroFromTable({ topic: "shop.public.orders", schema, descriptor });
const texts = [schemas.key ?? "", schemas.value];
const registry: SchemaRegistry = {
  register: (_subject, text) => Promise.resolve(texts.indexOf(text) + 1),
  byId: (id) => Promise.resolve(texts[id - 1] ?? ""),
};

function changes(perTransaction: number): readonly EventChange[] {
  let origin = originOf(0);
  return Array.from({ length: distinct }, (_, i): EventChange => {
    if (i % perTransaction === 0) origin = originOf(i);
    return {
      op: "c",
      before: null,
      after: [
        1_000_000 + i,
        i * 7,
        i % 2 === 0 ? "shipped" : "waiting",
        `customer.${i}@example.com`,
        `${i} Long Street, Some Town, Some Country`,
        `${i * 3}.95`,
        i % 3 === 0,
        i / 7,
        1_767_323_045_678_901 + i,
        i % 5 === 0 ? null : "please leave it at the neighbour's door, thank you very much indeed",
      ],
      origin,
      snapshot: "false",
      processedTsUs: 1_767_323_045_999_999,
    };
  });
}

function originOf(i: number): EventChange["origin"] {
  const lsn = 5_000_000_000 + i * 200;
  return {
    tsUs: 1_767_323_045_678_901 + i,
    sequence: `["${lsn - 100}","${lsn}"]`,
    fields: ["public", "orders", 1000 + i, lsn, null, null, null],
  };
}

function measure(name: string, work: (index: number) => void): number {
  let best = 0;
  for (let round = 0; round < rounds; round += 1) {
    const started = process.cpuUsage();
    for (let i = 0; i < perRound; i += 1) work(i % distinct);
    const { user, system } = process.cpuUsage(started);
    best = Math.max(best, (perRound / (user + system)) * 1_000_000);
  }
  console.log(JSON.stringify({ bench: "avro", name, eventsPerSecond: Math.round(best) }));
  return best;
}

function decimalBytes(text: string): Buffer {
  let rest = Number(text.replace(".", ""));
  const bytes: number[] = [];
  do {
    bytes.unshift(rest & 0xff);
    rest = Math.floor(rest / 256);
  } while (rest > 0);
  if ((bytes[0] ?? 0) > 0x7f) bytes.unshift(0);
  return Buffer.from(bytes);
}

/** What avsc is given: the envelope as an object, made beforehand and so not measured. Longs are numbers here. */
function plainEnvelope(change: EventChange): unknown {
  const { origin } = change;
  const after = Object.fromEntries(schema.columns.map((column, at) => [column.name, change.after?.[at] ?? null]));
  const [, , txId, lsn] = origin.fields;
  return {
    before: null,
    after: { ...after, total: decimalBytes(after["total"] as string) },
    source: {
      version: "1.0.0",
      connector: "postgresql",
      name: "shop",
      ts_ms: Math.floor(origin.tsUs / 1000),
      snapshot: "false",
      db: "shop",
      sequence: origin.sequence,
      ts_us: origin.tsUs,
      ts_ns: null,
      schema: "public",
      table: "orders",
      txId,
      lsn,
      xmin: null,
      origin: null,
      origin_lsn: null,
    },
    transaction: null,
    op: change.op,
    ts_ms: Math.floor(change.processedTsUs / 1000),
    ts_us: change.processedTsUs,
    ts_ns: null,
  };
}

const encoder = createEventEncoder({
  schema,
  descriptor,
  version: "1.0.0",
  prefix: "shop",
  keySchemaId: 1,
  valueSchemaId: 2,
});
const many = changes(1);
const few = changes(500);
const perChange = (list: readonly EventChange[]) => (i: number) => void encoder.encode(list[i] as EventChange);

const own = measure("encode, key and envelope, one origin per event", perChange(many));
measure("encode, key and envelope, one origin per 500 events", perChange(few));

const type = avsc.Type.forSchema(JSON.parse(schemas.value) as avsc.Schema);
const plain = many.map(plainEnvelope);
const buffer = Buffer.alloc(65_536);
const shared = measure(
  "avsc encode, envelope alone, into a shared buffer",
  (i) => void type.encode(plain[i], buffer, 0),
);
const allocated = measure("avsc encode, envelope alone, toBuffer", (i) => void type.toBuffer(plain[i]));

const at = { topic: "shop.public.orders", partition: 0 };
const records: readonly StoredRecord[] = many.map((change, i) => {
  const { key, value, headers } = encoder.encode(change);
  return { offset: BigInt(i), key, value, headers };
});
const decoder = createEventDecoder(registry);
await decoder.decode(records[0] as StoredRecord, at);
const decoded = measure("decode, key and envelope", (i) => void decoder.decode(records[i] as StoredRecord, at));

const avscBytes = plain.map((value) => type.toBuffer(value));
const avscDecoded = measure("avsc decode, envelope alone", (i) => void type.fromBuffer(avscBytes[i] as Buffer));

console.log(
  JSON.stringify({
    bench: "avro",
    name: "ratios",
    valueBytes: records[0]?.value?.length,
    encodeToAvscShared: Number((own / shared).toFixed(2)),
    encodeToAvscToBuffer: Number((own / allocated).toFixed(2)),
    decodeToAvsc: Number((decoded / avscDecoded).toFixed(2)),
  }),
);
