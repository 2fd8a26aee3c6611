import { Secret, publishedTableKey, stateTopic, tableId } from "@datatrace/core";
import type { PublishedTable, TableName } from "@datatrace/core";
import { type Address, type Delivery, openDelivery } from "@datatrace/delivery";
import { parseConnectionUrl } from "@datatrace/postgres";
import { PostgresSink } from "@datatrace/sink-postgres";
import { RecordingLogger, testPostgres, type TestPostgres, waitFor } from "@datatrace/testkit";
import { Client } from "pg";
import { DebeziumTopic, type DebeziumTable } from "./debezium-topic.ts";
import { InteropBed } from "./interop-bed.ts";

const deadlineMs = 60_000;

/** Debezium's topics in, PostgreSQL out: our delivery between. Source tables are `inventory.*`, targets `shop.*`. */
export class DeliveredBed implements AsyncDisposable {
  readonly servers: InteropBed;
  readonly logger = new RecordingLogger();
  readonly #postgres: TestPostgres;
  readonly #stack: AsyncDisposableStack;

  private constructor(servers: InteropBed, postgres: TestPostgres, stack: AsyncDisposableStack) {
    this.servers = servers;
    this.#postgres = postgres;
    this.#stack = stack;
  }

  static async start(): Promise<DeliveredBed> {
    await using stack = new AsyncDisposableStack();
    const [servers, postgres] = await Promise.all([InteropBed.open(), testPostgres(18)]);
    stack.use(servers);
    stack.use(postgres);
    return new DeliveredBed(servers, postgres, stack.move());
  }

  /** A database, a capture's name and a delivery's of its own, for one test. */
  async open(name: string): Promise<DeliveredCase> {
    return DeliveredCase.open(this.servers, await this.#postgres.createDatabase(), name, this.logger);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** What stands in a stopped table, and how far its target is. */
export interface StoppedTable {
  readonly code: string | undefined;
  readonly message: string | undefined;
}

/** Tables of one test, and the delivery that brings them to the target. */
export class DeliveredCase implements AsyncDisposable {
  readonly db: Client;
  readonly prefix: string;
  readonly #bed: InteropBed;
  readonly #url: string;
  readonly #logger: RecordingLogger;
  readonly #stack = new AsyncDisposableStack();
  #running: { readonly delivery: Delivery; readonly ended: Promise<void>; readonly sink: PostgresSink } | null = null;

  private constructor(bed: InteropBed, url: string, db: Client, name: string, logger: RecordingLogger) {
    this.#bed = bed;
    this.#url = url;
    this.db = db;
    this.prefix = `${bed.prefix}_${name}`;
    this.#logger = logger;
  }

  static async open(bed: InteropBed, url: string, name: string, logger: RecordingLogger): Promise<DeliveredCase> {
    const db = new Client({ connectionString: url });
    await db.connect();
    await db.query("SET timezone = 'UTC'; CREATE SCHEMA inventory");
    const opened = new DeliveredCase(bed, url, db, name, logger);
    await bed.log.ensureTopic({ name: stateTopic(opened.prefix), partitions: 1, cleanup: "compact" });
    return opened;
  }

  /** A connector's topic, and what tells our delivery of it: the record by which a capture says what it publishes. */
  async topic(table: string, { columns, key }: Omit<DebeziumTable, "topic">, partitions = 1): Promise<DebeziumTopic> {
    const topic = `${this.prefix}.inventory.${table}`;
    const opened = await DebeziumTopic.open(this.#bed, { topic, columns, key }, partitions);
    this.#stack.use(opened);
    const name = { schema: "inventory", table };
    const published: PublishedTable = {
      table: name,
      topic,
      partitions,
      phase: "streaming",
      error: null,
      rowsRead: 0,
      estimatedRows: 0,
    };
    await using writer = await this.#bed.log.openWriter(`${this.prefix}.state`);
    await writer.append([
      {
        topic: stateTopic(this.prefix),
        partition: 0,
        key: Buffer.from(publishedTableKey(tableId(name))),
        value: Buffer.from(JSON.stringify(published)),
      },
    ]);
    return opened;
  }

  deliver(): Delivery {
    const sink = new PostgresSink({
      server: parseConnectionUrl(new Secret(this.#url)),
      helperSchema: "datatrace",
      parallelApplies: 4,
    });
    const delivery = openDelivery({
      delivery: `${this.prefix}.warehouse`,
      capture: this.prefix,
      log: this.#bed.log,
      registry: this.#bed.registry,
      sink,
      target: ({ table }: TableName) => ({ schema: "shop", table }),
      strategy: "append",
      errorStrategy: "quarantine",
      timing: { watchMs: 50, retryFirstMs: 10, retryMaxMs: 100, stoppedMs: 200 },
      logger: this.#logger,
    });
    this.#running = { delivery, sink, ended: delivery.run().catch(() => undefined) };
    return delivery;
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = null;
    await running?.delivery[Symbol.asyncDispose]();
    await running?.ended;
    await running?.sink[Symbol.asyncDispose]();
  }

  async applied(addresses: readonly Address[]): Promise<void> {
    await this.#running?.delivery.appliedThrough(addresses, AbortSignal.timeout(deadlineMs));
  }

  /** Waits until the table has stopped, and answers why. */
  async stopped(table: string): Promise<StoppedTable> {
    const find = (): StoppedTable | undefined => {
      const found = this.#running?.delivery.status().tables.find((one) => one.table.table === table);
      return found?.state === "failed" ? { code: found.error?.code, message: found.error?.message } : undefined;
    };
    await waitFor(() => find() !== undefined, { deadlineMs, what: `${table} to stop` });
    return find() ?? { code: undefined, message: undefined };
  }

  /** Rows as PostgreSQL prints them, sorted, each column as text. */
  async rows(table: string): Promise<readonly unknown[]> {
    const columns = await this.db.query<{ name: string }>(
      `SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname`,
      [table],
    );
    const list = columns.rows.map(({ name }) => `"${name}"::text`).join(", ");
    const { rows } = await this.db.query<Record<string, string | null>>(`SELECT ${list} FROM ${table}`);
    return rows.map((row) => JSON.stringify(row)).toSorted();
  }

  /** Names and types of the columns, in order. */
  async types(table: string): Promise<readonly string[]> {
    const { rows } = await this.db.query<{ line: string }>(
      `SELECT attname || ' ' || format_type(atttypid, atttypmod) AS line FROM pg_attribute
       WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
      [table],
    );
    return rows.map(({ line }) => line);
  }

  /** One value of one row. */
  async value(sql: string): Promise<unknown> {
    const { rows } = await this.db.query<unknown[]>({ text: sql, rowMode: "array" });
    return rows[0]?.[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#stack.disposeAsync();
    await this.db.end();
  }
}
