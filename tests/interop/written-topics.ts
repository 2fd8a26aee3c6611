import {
  avroFromTable,
  createEventEncoder,
  type EventChange,
  type EventEncoder,
  partitionOfKey,
  registerTable,
} from "@datatrace/avro";
import type { LogRecord, LogWriter, Row, TableSchema } from "@datatrace/core";
import { SourceText, UNCHANGED } from "@datatrace/core";
import { failpoints } from "@datatrace/testkit";
import { everyType } from "./every-type.ts";
import { change, expectedEnvelope, expectedKey, fieldNames } from "./expected-event.ts";
import type { InteropBed } from "./interop-bed.ts";
import { postgresDescriptor } from "./published-table.ts";
import type { ReadRecord } from "./topic-reading.ts";

const partitions = 3;

/** What stands on the broker, and what of it a consumer must see. */
export interface WrittenTopics {
  readonly topics: readonly string[];
  /** Of every committed transaction, in the order in which topics are read. */
  readonly committed: readonly ReadRecord[];
  /** Records of transactions that were aborted: they lie in the same partitions. */
  readonly abortedCount: number;
}

interface WrittenChange {
  readonly change: EventChange;
  /** What a reader sees in the place of cells that Avro cannot hold. */
  readonly shown?: EventChange;
}

type SchemaIds = Awaited<ReturnType<typeof registerTable>>;
type FieldNames = ReturnType<typeof fieldNames>;

/** One table's topic with what a capture puts there, and beside each record what must be read. */
class WrittenTable {
  readonly topic: string;
  readonly #schema: TableSchema;
  readonly #encoder: EventEncoder;
  readonly #ids: SchemaIds;
  readonly #names: FieldNames;

  private constructor(topic: string, schema: TableSchema, encoder: EventEncoder, ids: SchemaIds, names: FieldNames) {
    this.topic = topic;
    this.#schema = schema;
    this.#encoder = encoder;
    this.#ids = ids;
    this.#names = names;
  }

  static async make(bed: InteropBed, schema: TableSchema): Promise<WrittenTable> {
    const topic = `${bed.prefix}.public.${schema.name.table}`;
    await bed.log.ensureTopic({ name: topic, partitions, cleanup: "delete" });
    const schemas = avroFromTable({ topic, schema, descriptor: postgresDescriptor });
    const ids = await registerTable(bed.registry, topic, schemas);
    const encoder = createEventEncoder({
      schema,
      ...ids,
      descriptor: postgresDescriptor,
      version: "1.0.0",
      prefix: "shop",
    });
    return new WrittenTable(topic, schema, encoder, ids, fieldNames(schemas));
  }

  records(changes: readonly WrittenChange[]): readonly (LogRecord & { readonly read: ReadRecord })[] {
    return changes.flatMap(({ change: one, shown = one }) => {
      const { key, value, headers } = this.#encoder.encode(one);
      if (key === null) throw new Error("a table with a key");
      const at = { topic: this.topic, partition: partitionOfKey(key, partitions) };
      const row = shown.after ?? shown.before ?? [];
      const keyRead = { id: this.#ids.keySchemaId ?? 0, datum: expectedKey(this.#schema, this.#names.key, row) };
      const datum = expectedEnvelope(this.#schema, this.#names.value, shown);
      const read = { ...at, key: keyRead, value: { id: this.#ids.valueSchemaId, datum }, headers };
      const record = { ...at, key, value, headers, read };
      if (one.op !== "d") return [record];
      return [record, { ...at, key, value: null, read: { ...at, key: keyRead, value: null, headers: {} } }];
    });
  }
}

function plain(changes: readonly EventChange[]): readonly WrittenChange[] {
  return changes.map((one) => ({ change: one }));
}

const oddTable: TableSchema = {
  name: { schema: "public", table: "odd" },
  key: [0, 1],
  columns: [
    { name: "region", type: { kind: "string", length: 2 }, native: { name: "bpchar", length: 2 }, nullable: false },
    { name: "ref", type: { kind: "uuid" }, native: { name: "uuid" }, nullable: false },
    { name: "my-col", type: { kind: "string" }, native: { name: "text" }, nullable: false },
    { name: "due", type: { kind: "date" }, native: { name: "date" }, nullable: true },
  ],
};

function oddRow(ref: number, note: Row[number], due: Row[number]): Row {
  return ["eu", `1d8c5a4e-0000-4000-8000-00000000000${ref}`, note, due];
}

/** What no Avro type holds: each has a header that says so, and Debezium's placeholder or null in its place. */
function oddChanges(): readonly WrittenChange[] {
  const moved = { "__debezium.oldkey": '{"region":"eu","ref":"1d8c5a4e-0000-4000-8000-000000000001"}' };
  return [
    { change: change({ after: oddRow(1, "漢é,%", 1) }) },
    {
      change: change({ op: "u", after: oddRow(1, UNCHANGED, new SourceText("infinity")) }),
      shown: change({ op: "u", after: oddRow(1, "__debezium_unavailable_value", null) }),
    },
    { change: change({ op: "d", before: oddRow(1, "", null) }) },
    { change: change({ after: oddRow(2, "moved", null), headers: moved }) },
  ];
}

/**
 * Writes two tables as a capture does: transactions over several topics and partitions. Between them lie two that were
 * aborted: one of a writer that died before its commit, and one of another producer that was open all through a
 * transaction of ours in the same partitions.
 */
export async function writeTopics(bed: InteropBed): Promise<WrittenTopics> {
  const every = await WrittenTable.make(bed, everyType.schema);
  const odd = await WrittenTable.make(bed, oddTable);
  const { rows } = everyType;
  const first = rows[0] ?? [];
  const committed: ReadRecord[] = [];
  const append = async (writer: LogWriter, records: ReturnType<WrittenTable["records"]>): Promise<void> => {
    await writer.append(records);
    committed.push(...records.map(({ read }) => read));
  };
  const writerId = `${bed.prefix}.capture`;
  const lost = every.records(plain(rows.map((after) => change({ op: "u", after }))));
  {
    await using writer = await bed.log.openWriter(writerId);
    await append(writer, [
      ...every.records(plain(rows.map((after) => change({ after })))),
      ...odd.records(oddChanges()),
    ]);
    using _ = failpoints.on("log.before_commit", () => {
      throw new Error("the process ends here");
    });
    await writer.append(lost).then(
      () => {
        throw new Error("the append was to fail");
      },
      () => undefined,
    );
  }
  // Ends what was left open.
  await using writer = await bed.log.openWriter(writerId);

  const other = bed.client.producer({ transactionalId: `${bed.prefix}.other`, maxInFlightRequests: 1 });
  await other.connect();
  const open = await other.transaction();
  const foreign = every.records(plain(rows.map((after) => change({ op: "u", after }))));
  for (const { topic, partition, key, value } of foreign) {
    await open.send({ topic, messages: [{ partition, key: Buffer.from(key ?? []), value: Buffer.from(value ?? []) }] });
  }
  await append(
    writer,
    every.records(
      plain([
        change({ op: "r", after: first, snapshot: "incremental" }),
        ...rows.map((after) => change({ op: "u", before: first, after })),
        change({ op: "d", before: rows[1] ?? [] }),
      ]),
    ),
  );
  await open.abort();
  await other.disconnect();
  await append(writer, [...every.records(plain([change({ after: rows[1] ?? [] })])), ...odd.records(oddChanges())]);

  return {
    topics: [every.topic, odd.topic],
    committed: committed.toSorted((one, two) => one.topic.localeCompare(two.topic) || one.partition - two.partition),
    abortedCount: lost.length + foreign.length,
  };
}
