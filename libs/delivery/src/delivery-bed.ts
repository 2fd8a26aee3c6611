import { join } from "node:path";
import { Secret, dataTopic, publishedTableKey, stateTopic, tableId } from "@datatrace/core";
import type {
  LogRecord,
  LogWriter,
  PublishedTable,
  Row,
  SchemaRegistry,
  SinkContext,
  TableName,
  TableSchema,
  Value,
} from "@datatrace/core";
import { avroFromTable, createEventEncoder, partitionOfKey, registerTable } from "@datatrace/avro";
import type { EventEncoder, Operation } from "@datatrace/avro";
import { openSqliteEventLog } from "@datatrace/event-log-sqlite";
import type { SqliteEventLog } from "@datatrace/event-log-sqlite";
import { connect, parseConnectionUrl, quoteName, quoteTable, textDecoder } from "@datatrace/postgres";
import { PostgresSink } from "@datatrace/sink-postgres";
import { RecordingLogger, temporaryDirectory } from "@datatrace/testkit";
import type { TemporaryDirectory } from "@datatrace/testkit";
import { openDelivery } from "./delivery.ts";
import type { Address } from "./delivery.ts";
import type { DeliveryOptions, DeliveryTiming } from "./delivery-options.ts";
import { RunningCase } from "./running-case.ts";

export const never: AbortSignal = new AbortController().signal;
export const capture = "shop";
export const deliveryId = "warehouse";

const int64 = { type: { kind: "int64" }, native: { name: "int8" } } as const;
const int32 = { type: { kind: "int32" }, native: { name: "int4" } } as const;
const text = { type: { kind: "string" }, native: { name: "text" } } as const;

/** `id, name, quantity, note`, keyed by `id`. */
export function itemsSchema(table = "items"): TableSchema {
  return {
    name: { schema: "public", table },
    columns: [
      { name: "id", ...int64, nullable: false },
      { name: "name", ...text, nullable: true },
      { name: "quantity", ...int32, nullable: true },
      { name: "note", ...text, nullable: true },
    ],
    key: [0],
  };
}

export function item(id: number, name: string | null = null, quantity: number | null = 1, note: Value = null): Row {
  return [id, name, quantity, note];
}

export interface Change {
  readonly op: Operation;
  readonly row: Row;
  readonly headers?: Readonly<Record<string, string>>;
}

export const insert = (row: Row): Change => ({ op: "c", row });
export const update = (row: Row): Change => ({ op: "u", row });
export const remove = (id: number): Change => ({ op: "d", row: item(id) });

const descriptor = { connector: "postgresql", database: "shop", fields: [] };

/** One table's topic, written as a capture would. */
export class PublishedTopic {
  readonly topic: string;
  readonly partitions: number;
  readonly #bed: DeliveryBed;
  readonly #encoders = new Map<TableSchema, EventEncoder>();
  schema: TableSchema;

  constructor(bed: DeliveryBed, topic: string, schema: TableSchema, partitions: number) {
    this.#bed = bed;
    this.topic = topic;
    this.schema = schema;
    this.partitions = partitions;
  }

  /** One append, all or nothing. Answers the last record of each partition. */
  async append(changes: readonly Change[], schema: TableSchema = this.schema): Promise<readonly Address[]> {
    return this.#bed.write(await this.records(changes, schema));
  }

  async records(changes: readonly Change[], schema: TableSchema = this.schema): Promise<readonly LogRecord[]> {
    const encoder = await this.#encoder(schema);
    const nowUs = Date.now() * 1000;
    return changes.flatMap(({ op, row, headers }): readonly LogRecord[] => {
      const event = encoder.encode({
        op,
        before: op === "d" ? row : null,
        after: op === "d" ? null : row,
        origin: { tsUs: nowUs, sequence: null, fields: [] },
        snapshot: op === "r" ? "incremental" : "false",
        processedTsUs: nowUs,
        ...(headers === undefined ? {} : { headers }),
      });
      const { key, value } = event;
      if (key === null) throw new Error("a table with a key");
      const at = { topic: this.topic, partition: partitionOfKey(key, this.partitions), key };
      const record = { ...at, value, headers: event.headers };
      return op === "d" ? [record, { ...at, value: null }] : [record];
    });
  }

  async #encoder(schema: TableSchema): Promise<EventEncoder> {
    const known = this.#encoders.get(schema);
    if (known !== undefined) return known;
    const schemas = avroFromTable({ topic: this.topic, schema, descriptor });
    const ids = await registerTable(this.#bed.registry, this.topic, schemas);
    const made = createEventEncoder({ schema, ...ids, descriptor, version: "1", prefix: capture });
    this.#encoders.set(schema, made);
    return made;
  }
}

/** Quick, so that tests wait for nothing. */
export const quickTiming: DeliveryTiming = {
  watchMs: 50,
  retryFirstMs: 10,
  retryMaxMs: 100,
  stoppedMs: 200,
  orderAttempts: 5,
  stopMs: 3000,
};

const context: SinkContext = { parallelApplies: 4, logger: new RecordingLogger() };

export function openTarget(
  url: string,
  limits: Partial<ConstructorParameters<typeof PostgresSink>[0]> = {},
): PostgresSink {
  return new PostgresSink({
    server: parseConnectionUrl(new Secret(url)),
    helperSchema: "datatrace",
    parallelApplies: context.parallelApplies,
    takeOverMs: 300,
    ...limits,
  });
}

/** A session of the driver. */
type Client = Awaited<ReturnType<typeof connect>>;

/** Where everything goes: `public.items` to `shop.items`. */
export function targetOf({ table }: TableName): TableName {
  return { schema: "shop", table };
}

/** A log, a target, and what a capture would have written: for one test. */
export class DeliveryBed implements AsyncDisposable {
  readonly url: string;
  readonly logDirectory: string;
  readonly log: SqliteEventLog;
  /** Where schemas are registered and looked up: the log's own unless a test sets another. */
  registry: SchemaRegistry;
  readonly logger = new RecordingLogger();
  #client: Client;
  readonly #folder: TemporaryDirectory;
  readonly #writer: LogWriter;
  readonly #stack = new AsyncDisposableStack();

  private constructor(
    url: string,
    folder: TemporaryDirectory,
    logDirectory: string,
    log: SqliteEventLog,
    writer: LogWriter,
    client: Client,
  ) {
    this.url = url;
    this.#folder = folder;
    this.logDirectory = logDirectory;
    this.log = log;
    this.registry = log.registry;
    this.#writer = writer;
    this.#client = client;
  }

  /** With a log of its own, or the one in `directory`. */
  static async open(url: string, directory?: string): Promise<DeliveryBed> {
    const folder = await temporaryDirectory("delivery");
    const logDirectory = directory ?? join(folder.path, "log");
    const log = await openSqliteEventLog({ directory: logDirectory, leaseMs: 1500 });
    await log.ensureTopic({ name: stateTopic(capture), partitions: 1, cleanup: "compact" });
    const writer = await log.openWriter("capture");
    const client = await connect(parseConnectionUrl(new Secret(url)), { applicationName: "test" });
    return new DeliveryBed(url, folder, logDirectory, log, writer, client);
  }

  /** Makes the topic and tells of it in the capture's state. */
  async publish(schema: TableSchema = itemsSchema(), partitions = 1): Promise<PublishedTopic> {
    const topic = dataTopic(capture, schema.name);
    await this.log.ensureTopic({ name: topic, partitions, cleanup: "delete" });
    const table: PublishedTable = {
      table: schema.name,
      topic,
      partitions,
      phase: "streaming",
      error: null,
      rowsRead: 0,
      estimatedRows: 0,
    };
    await this.write([
      {
        topic: stateTopic(capture),
        partition: 0,
        key: Buffer.from(publishedTableKey(tableId(schema.name))),
        value: Buffer.from(JSON.stringify(table)),
      },
    ]);
    return new PublishedTopic(this, topic, schema, partitions);
  }

  async write(records: readonly LogRecord[]): Promise<readonly Address[]> {
    return this.#writer.append(records);
  }

  /** A delivery that runs until the bed goes, or it is disposed. */
  start(options: Partial<DeliveryOptions> = {}): RunningCase {
    const sink = options.sink ?? openTarget(this.url);
    const delivery = openDelivery({
      delivery: deliveryId,
      capture,
      log: this.log,
      registry: this.registry,
      sink,
      target: targetOf,
      strategy: "fail",
      errorStrategy: "quarantine",
      logger: this.logger,
      ...options,
      timing: { ...quickTiming, ...options.timing },
    });
    return this.#stack.use(new RunningCase(delivery, options.sink === undefined ? sink : null));
  }

  async query(sql: string, values: readonly unknown[] = []): Promise<readonly (readonly (string | null)[])[]> {
    const types = { getTypeParser: () => (value: string) => value };
    const { rows } = await this.#client.query<(string | null)[]>({
      text: sql,
      values: [...values],
      rowMode: "array",
      types,
    });
    return rows;
  }

  /** After the target's server has died. */
  async reconnect(): Promise<void> {
    await this.#client.end().catch(() => {});
    this.#client = await connect(parseConnectionUrl(new Secret(this.url)), { applicationName: "test" });
  }

  /** Rows of the target in key order; none while the table is not there. */
  async rows(schema: TableSchema = itemsSchema()): Promise<readonly Row[]> {
    const target = quoteTable(targetOf(schema.name));
    const [[exists] = []] = await this.query("SELECT to_regclass($1)", [target]);
    if (exists === null || exists === undefined) return [];
    const names = schema.columns.map(({ name }) => `t.${quoteName(name)}`);
    const found = await this.query(`SELECT ${names.join(", ")} FROM ${target} t ORDER BY 1`);
    const decoders = schema.columns.map(({ type }) => textDecoder(type));
    return found.map((row) =>
      row.map((cell, index) => {
        if (cell === null) return null;
        const bytes = Buffer.from(cell);
        return decoders[index]?.(bytes, 0, bytes.length) ?? null;
      }),
    );
  }

  /** `state code key_text`, in the order of the log. */
  async quarantine(): Promise<readonly string[]> {
    const found = await this.query(
      "SELECT state || ' ' || code || ' ' || key_text FROM datatrace._datatrace_quarantine ORDER BY topic, record_offset",
    );
    return found.map(([line]) => line ?? "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
    await this.#writer[Symbol.asyncDispose]();
    await this.log[Symbol.asyncDispose]();
    await this.#client.end();
    await this.#folder[Symbol.asyncDispose]();
  }
}
