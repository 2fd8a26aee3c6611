import type { RowReader, TableName, TextRow } from "@datatrace/core";
import { Client, escapeIdentifier } from "pg";

const fetchRows = 2_000;

/** Every setting that changes how a value prints, so that equal values of two servers give equal text. */
const pinned = [
  "SET DateStyle = 'ISO, YMD'",
  "SET IntervalStyle = 'postgres'",
  "SET TimeZone = 'UTC'",
  "SET extra_float_digits = 3",
  "SET bytea_output = 'hex'",
  "SET lc_monetary = 'C'",
  "SET client_encoding = 'UTF8'",
].join("; ");

/**
 * A table for the row by row comparison of two databases: PostgreSQL's own text of each row, ordered by the bytes of
 * the key's text. Each read is one cursor in one snapshot on a connection of its own.
 */
export class PostgresRowReader implements RowReader {
  readonly #url: string;
  readonly #table: TableName;
  readonly #key: readonly string[];

  /** `key`: names of the key columns. */
  constructor(url: string, table: TableName, key: readonly string[]) {
    this.#url = url;
    this.#table = table;
    this.#key = key;
  }

  async columns(signal: AbortSignal): Promise<readonly string[]> {
    return await this.#connected(async (client) => {
      signal.throwIfAborted();
      const result = await client.query<{ name: string }>(
        `SELECT a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
        [this.#table.schema, this.#table.table],
      );
      return result.rows.map((row) => row.name);
    });
  }

  async *read(columns: readonly string[], signal: AbortSignal): AsyncIterable<readonly TextRow[]> {
    const client = await this.#connect();
    try {
      const key = record(this.#key);
      await client.query(
        `${pinned}; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
         DECLARE rows NO SCROLL CURSOR FOR SELECT ${key} AS key, ${record(columns)} AS row
         FROM ${escapeIdentifier(this.#table.schema)}.${escapeIdentifier(this.#table.table)}
         ORDER BY ${key} COLLATE "C"`,
      );
      for (;;) {
        signal.throwIfAborted();
        const batch = await client.query<TextRow>(`FETCH ${fetchRows} FROM rows`);
        if (batch.rows.length === 0) return;
        yield batch.rows;
      }
    } finally {
      await client.end();
    }
  }

  async #connect(): Promise<Client> {
    const client = new Client({ connectionString: this.#url, application_name: "datatrace verify" });
    // Without a listener a connection lost while idle would end the process; the next query reports it anyway.
    client.on("error", () => undefined);
    await client.connect();
    return client;
  }

  async #connected<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  }
}

/** `ROW(…)::text`: quotes what needs it and tells NULL from the empty text, so different rows never print alike. */
function record(columns: readonly string[]): string {
  return `ROW(${columns.map((name) => escapeIdentifier(name)).join(", ")})::text`;
}
