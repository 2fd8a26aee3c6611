import { postgresSource } from "@datatrace/capture-postgres";
import {
  type CaptureSource,
  dataTopic,
  positionTopic,
  type SchemaRegistry,
  Secret,
  type TableName,
  type Value,
} from "@datatrace/core";
import { openSqliteEventLog, type SqliteEventLog } from "@datatrace/event-log-sqlite";
import { RecordingLogger, temporaryDirectory, waitFor } from "@datatrace/testkit";
import { Client } from "pg";
import type { CaptureOptions } from "../capture-options.ts";
import type { TableStatus } from "../capture-status.ts";
import { type Capture, openCapture } from "../capture.ts";
import { type StoredPosition, storedPosition } from "../position-record.ts";
import { foldEvents, type PublishedEvent, publishedEvents } from "./published-rows.ts";

export interface RunningCapture extends AsyncDisposable {
  readonly capture: Capture;
  readonly source: CaptureSource;
  /** What `run` gave: null when it ended well. */
  readonly ended: Promise<unknown>;
}

export type BedCaptureOptions = Partial<
  Pick<CaptureOptions, "mode" | "chunkRows" | "parallelChunks" | "batch" | "tables" | "timing" | "observer">
>;

/** Ends what a test has left at the server: held commits, which keep the next slot from being made, and the slot. */
async function leaveNothing(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const mine = "datname = current_database()";
  await client.query(`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND ${mine}`);
  const slots = "FROM pg_replication_slots WHERE database = current_database()";
  await client.query(`SELECT pg_terminate_backend(active_pid, 10000) ${slots} AND active`);
  await client.query(`SELECT pg_drop_replication_slot(slot_name) ${slots}`);
  await client.end();
}

/** As the source prints it, for the few types that these tests use. */
function printed(value: Value): string {
  if (typeof value === "symbol") return "(left out)";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A database, a log in a folder of its own, and captures from the one into the other. */
export class PostgresBed implements AsyncDisposable {
  /** Names the slot too, which is the server's, not the database's. */
  readonly capture: string;
  readonly prefix = "bed";
  readonly logger = new RecordingLogger();
  readonly url: string;
  readonly log: SqliteEventLog;
  /** Where schemas are registered and looked up: the log's own unless a test sets another. */
  registry: SchemaRegistry;
  readonly client: Client;
  readonly #stack: AsyncDisposableStack;

  /** `url` is of an empty database. */
  static async open(url: string): Promise<PostgresBed> {
    const stack = new AsyncDisposableStack();
    const directory = stack.use(await temporaryDirectory("capture"));
    const log = stack.use(await openSqliteEventLog({ directory: directory.path }));
    const client = new Client({ connectionString: url });
    client.on("error", () => undefined);
    await client.connect();
    stack.defer(async () => await client.end());
    stack.defer(async () => await leaveNothing(url));
    return new PostgresBed(url, log, client, stack);
  }

  private constructor(url: string, log: SqliteEventLog, client: Client, stack: AsyncDisposableStack) {
    this.url = url;
    this.capture = new URL(url).pathname.slice(1);
    this.log = log;
    this.registry = log.registry;
    this.client = client;
    this.#stack = stack;
  }

  /** Another session, closed with the bed. */
  async connect(): Promise<Client> {
    const client = new Client({ connectionString: this.url });
    client.on("error", () => undefined);
    await client.connect();
    this.#stack.defer(async () => await client.end());
    return client;
  }

  /** A capture of every table of the schema `public`, running. */
  start(options: BedCaptureOptions = {}): RunningCapture {
    const source = postgresSource.open(
      { url: new Secret(this.url) },
      { capture: this.capture, parallelReads: options.parallelChunks ?? 4, logger: this.logger },
    );
    const capture = openCapture({
      capture: this.capture,
      prefix: this.prefix,
      source,
      log: this.log,
      registry: this.registry,
      tables: { select: (all) => all.filter((table) => table.schema === "public"), partitions: () => 2 },
      mode: "snapshot+stream",
      logger: this.logger,
      ...options,
      timing: { tablesMs: 200, visibilityMs: 20, retryFirstMs: 20, retryMaxMs: 200, ...options.timing },
    });
    const ended = capture.run().then(
      () => null,
      (error: unknown) => error,
    );
    return {
      capture,
      source,
      ended,
      [Symbol.asyncDispose]: async () => {
        await capture[Symbol.asyncDispose]();
        await source[Symbol.asyncDispose]();
      },
    };
  }

  /** Waits until this holds of a table's status. */
  async until(capture: Capture, table: string, holds: (status: TableStatus) => boolean): Promise<TableStatus> {
    return await waitFor(
      () => capture.status().tables.find((status) => status.table === `public.${table}` && holds(status)) ?? null,
      { deadlineMs: 20_000, what: `${table} to get there` },
    );
  }

  async stored(): Promise<StoredPosition | null> {
    return storedPosition(await this.log.latestByKey(positionTopic(this.capture)));
  }

  async events(table: string): Promise<readonly PublishedEvent[]> {
    return await publishedEvents(this.log, this.registry, dataTopic(this.prefix, this.name(table)));
  }

  /**
   * Compares the rows that a consumer of the log ends with and those of the source, by their key `id` and these columns
   * as text. @returns what differs, in words; empty is equal.
   */
  async differences(table: string, ...columns: readonly string[]): Promise<readonly string[]> {
    const found = foldEvents(await this.events(table));
    const text = columns.map((column) => `${column}::text`).join(", ");
    const { rows } = await this.client.query<(string | null)[]>({
      text: `SELECT id, ${text} FROM ${table} ORDER BY id`,
      rowMode: "array",
    });
    const wrong: string[] = [];
    for (const [id, ...cells] of rows) {
      const row = found.get(`id=${id}`);
      found.delete(`id=${id}`);
      if (row === undefined) wrong.push(`id=${id} is missing`);
      else {
        for (const [index, column] of columns.entries()) {
          const value = row.get(column) ?? null;
          if ((value === null ? null : printed(value)) !== cells[index]) wrong.push(`id=${id}: ${column} differs`);
        }
      }
    }
    return [...wrong, ...[...found.keys()].map((key) => `${key} is gone`)];
  }

  name(table: string): TableName {
    return { schema: "public", table };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
