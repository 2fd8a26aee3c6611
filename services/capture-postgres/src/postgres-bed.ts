import { Secret } from "@datatrace/core";
import type { Logger } from "@datatrace/core";
import { connect, parseConnectionUrl, quoteText } from "@datatrace/postgres";
import { RecordingLogger } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import type { CaptureBed, CaptureOpening, UserSession } from "@datatrace/testkit/suites";
import { PostgresSource } from "./postgres-source.ts";

/** A database of its own on a test server. */
export class PostgresBed implements CaptureBed {
  readonly largeText = "text";
  readonly url: string;
  readonly #logger: Logger;

  constructor(url: string, logger: Logger = new RecordingLogger()) {
    this.url = url;
    this.#logger = logger;
  }

  static async make(server: TestPostgres): Promise<PostgresBed> {
    return new PostgresBed(await server.createDatabase());
  }

  /** Name of the database. */
  get database(): string {
    return new URL(this.url).pathname.slice(1);
  }

  openSource({ capture = "main", tuning = {} }: CaptureOpening = {}, url = this.url): PostgresSource {
    const { maxEvents = 5_000, maxBytes = 4 * 1024 * 1024, heartbeatMs = 200 } = tuning;
    return new PostgresSource({
      server: parseConnectionUrl(new Secret(url)),
      // Slots belong to the whole server.
      capture: this.captureId(capture),
      parallelReads: 4,
      logger: this.#logger,
      stream: { limits: { maxEvents, maxBytes }, heartbeatMs, catalogWatchMs: 200, silenceMs: 1_000 },
    });
  }

  captureId(capture = "main"): string {
    return `${this.database}_${capture}`;
  }

  async connect(): Promise<UserSession> {
    const session = await connect(parseConnectionUrl(new Secret(this.url)), { applicationName: "user" });
    return {
      run: async (sql) => {
        await session.query(sql);
      },
      [Symbol.asyncDispose]: async () => {
        await session.end();
      },
    };
  }

  /** Rows of a statement, by name. */
  async query<R extends Record<string, unknown>>(sql: string): Promise<readonly R[]> {
    const session = await connect(parseConnectionUrl(new Secret(this.url)), { applicationName: "user" });
    try {
      return (await session.query<R>(sql)).rows;
    } finally {
      await session.end();
    }
  }

  nameOf(table: string): { readonly schema: string; readonly table: string } {
    return { schema: "public", table };
  }

  async cutConnections(): Promise<void> {
    const database = quoteText(this.database);
    await this.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = ${database} AND application_name LIKE 'datatrace%'`);
  }

  async leftovers(): Promise<readonly string[]> {
    const rows = await this.query<{ name: string }>(
      `SELECT 'slot ' || slot_name AS name FROM pg_replication_slots WHERE database = ${quoteText(this.database)}
       UNION ALL SELECT 'publication ' || pubname FROM pg_publication
       UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname LIKE '%datatrace%' ORDER BY 1`,
    );
    return rows.map(({ name }) => name);
  }

  /** The server drops the database, and its slots, when it goes; a slot more of every test would use them up before. */
  async [Symbol.asyncDispose](): Promise<void> {
    const database = quoteText(this.database);
    await this.query(`SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots
      WHERE database = ${database} AND active_pid IS NOT NULL`);
    await this.query(
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = ${database}`,
    );
  }
}
