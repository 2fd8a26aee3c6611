import { avscType } from "@datatrace/testkit/avsc-type";
import type { EventLog, TopicPartition } from "@datatrace/core";
import type avsc from "avsc";
import { CompressionTypes, type Producer } from "kafkajs";
import type { AvscRow } from "./avsc-row.ts";
import { type AvroJson, type DebeziumColumn, envelopeSchema, keySchema } from "./debezium-schemas.ts";
import type { InteropBed } from "./interop-bed.ts";

/** A record as Debezium writes it. `key` null: a truncate, or a table without a key. `value` null: a tombstone. */
export interface DebeziumRecord {
  readonly key: AvscRow | null;
  readonly value: {
    readonly op: string;
    readonly before?: AvscRow | null;
    readonly after?: AvscRow | null;
    readonly snapshot?: string;
  } | null;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface DebeziumTable {
  /** `srv.inventory.customers`. */
  readonly topic: string;
  readonly columns: readonly DebeziumColumn[];
  readonly key: readonly string[];
}

/** What Debezium adds to every record by default (`extended.headers.enabled`). */
const contextHeaders = {
  "__debezium.context.connectorLogicalName": "srv",
  "__debezium.context.taskId": "0",
  "__debezium.context.connectorName": "postgresql",
};

export interface SendOptions {
  readonly compression?: CompressionTypes;
  /** A transaction, for a connector with `exactly.once.support`. */
  readonly through?: Pick<Producer, "send">;
}

interface Side {
  readonly id: number;
  readonly type: avsc.Type;
}

/** One table's topic as a connector in Kafka Connect fills it: schemas in the registry, framed Avro, murmur2 of the whole key. */
export class DebeziumTopic implements AsyncDisposable {
  readonly topic: string;
  readonly partitions: number;
  readonly #log: EventLog;
  readonly #table: DebeziumTable;
  readonly #producer: Producer;
  readonly #key: Side | null;
  readonly #value: Side;

  private constructor(
    log: EventLog,
    table: DebeziumTable,
    partitions: number,
    producer: Producer,
    key: Side | null,
    value: Side,
  ) {
    this.#log = log;
    this.topic = table.topic;
    this.partitions = partitions;
    this.#table = table;
    this.#producer = producer;
    this.#key = key;
    this.#value = value;
  }

  /** Makes the topic, unless it is there: a later version of the table has the same. */
  static async open(bed: InteropBed, table: DebeziumTable, partitions = 1): Promise<DebeziumTopic> {
    const { topic, columns } = table;
    const admin = bed.client.admin();
    await admin.connect();
    await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: partitions }] });
    await admin.disconnect();
    const side = async (name: string, schema: AvroJson): Promise<Side> => ({
      id: await register(bed.registryUrl, `${topic}-${name}`, schema),
      type: avscType(JSON.stringify(schema)),
    });
    const keyColumns = table.key.flatMap((name) => columns.find((column) => column.name === name) ?? []);
    const key = keyColumns.length === 0 ? null : await side("key", keySchema(topic, keyColumns));
    const value = await side("value", envelopeSchema(topic, columns));
    const producer = bed.client.producer();
    await producer.connect();
    return new DebeziumTopic(bed.log, table, partitions, producer, key, value);
  }

  /** In one request, each partition's records in this order. Answers the last record of each partition that has one. */
  async send(
    records: readonly DebeziumRecord[],
    { compression = CompressionTypes.None, through = this.#producer }: SendOptions = {},
  ): Promise<readonly (TopicPartition & { readonly last: bigint })[]> {
    await through.send({
      topic: this.topic,
      compression,
      messages: records.map(({ key, value, headers }) => ({
        key: key === null || this.#key === null ? null : framed(this.#key, key),
        value: value === null ? null : framed(this.#value, this.#envelope(value)),
        headers: { ...contextHeaders, ...headers },
      })),
    });
    const places = Array.from({ length: this.partitions }, (_, partition) => ({ topic: this.topic, partition }));
    const ends = await Promise.all(places.map(async (place) => (await this.#log.bounds(place)).end));
    return places.flatMap((place, partition) => {
      const end = ends[partition] ?? 0n;
      return end === 0n ? [] : [{ ...place, last: end - 1n }];
    });
  }

  /** A delete and its tombstone. */
  removed(key: AvscRow, before: AvscRow, headers: Readonly<Record<string, string>> = {}): readonly DebeziumRecord[] {
    return [
      { key, value: { op: "d", before }, headers },
      { key, value: null },
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer.disconnect();
  }

  #envelope({ op, before, after, snapshot }: NonNullable<DebeziumRecord["value"]>): AvscRow {
    const [, schema, table] = this.#table.topic.split(".");
    const isRead = op === "r";
    return {
      before: before ?? null,
      after: after ?? null,
      source: {
        version: "3.6.1.Final",
        connector: "postgresql",
        name: "srv",
        ts_ms: 1_767_323_045_678n,
        snapshot: snapshot ?? (isRead ? "true" : "false"),
        db: "inventory",
        sequence: '[null,"24023128"]',
        ts_us: 1_767_323_045_678_901n,
        ts_ns: 1_767_323_045_678_901_000n,
        schema,
        table,
        txId: isRead ? null : 771n,
        lsn: 24_023_128n,
        xmin: null,
        origin: null,
        origin_lsn: null,
      },
      transaction: null,
      op,
      ts_ms: 1_767_323_045_700n,
      ts_us: 1_767_323_045_700_123n,
      ts_ns: 1_767_323_045_700_123_456n,
    };
  }
}

function framed({ id, type }: Side, datum: AvscRow): Buffer {
  const head = Buffer.alloc(5);
  head.writeInt32BE(id, 1);
  return Buffer.concat([head, type.toBuffer(datum)]);
}

async function register(registry: string, subject: string, schema: AvroJson): Promise<number> {
  const answer = await fetch(`${registry}/subjects/${encodeURIComponent(subject)}/versions`, {
    method: "POST",
    headers: { "content-type": "application/vnd.schemaregistry.v1+json" },
    body: JSON.stringify({ schema: JSON.stringify(schema) }),
    signal: AbortSignal.timeout(20_000),
  });
  const body = (await answer.json()) as { readonly id?: number };
  if (!answer.ok || body.id === undefined) throw new Error(`the registry refuses ${subject}: ${answer.status}`);
  return body.id;
}
