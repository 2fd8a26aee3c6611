import { Secret } from "@datatrace/core";
import type { Row, TableName, TableSchema } from "@datatrace/core";
import { connect, parseConnectionUrl, quoteName, quoteTable, textDecoder } from "@datatrace/postgres";
import type { OpenSink, SinkBed } from "@datatrace/testkit/suites";
import { helperTableNames } from "./helper-tables.ts";
import { PostgresSink } from "./postgres-sink.ts";

const helperSchema = "datatrace";

/** A session of the driver. */
type Client = Awaited<ReturnType<typeof connect>>;

/** Also run by the owners that the contract suite freezes, in a process of their own. */
export const openSink: OpenSink = (target, limits = {}) =>
  new PostgresSink({
    server: parseConnectionUrl(new Secret(target)),
    helperSchema,
    parallelApplies: 4,
    ...limits,
  });

/** A database of its own for one test. */
export class PostgresBed implements SinkBed {
  readonly target: string;
  readonly port: number;
  readonly commit = "COMMIT\0";
  readonly client: Client;

  private constructor(target: string, client: Client) {
    this.target = target;
    this.port = Number(new URL(target).port);
    this.client = client;
  }

  static async open(target: string): Promise<PostgresBed> {
    const client = await connect(parseConnectionUrl(new Secret(target)), { applicationName: "test" });
    return new PostgresBed(target, client);
  }

  async rows(target: TableName, schema: TableSchema): Promise<readonly Row[]> {
    const decoders = schema.columns.map(({ type }) => textDecoder(type));
    const texts = schema.columns.map(({ name }) => `t.${quoteName(name)}::text`);
    const keys = schema.key.map((index) => `t.${quoteName(schema.columns[index]?.name ?? "")}`);
    const { rows } = await this.client.query<(string | null)[]>({
      text: `SELECT ${texts.join(", ")} FROM ${quoteTable(target)} t ORDER BY ${keys.join(", ")}`,
      rowMode: "array",
    });
    return rows.map((row) =>
      row.map((text, index) => {
        if (text === null) return null;
        const bytes = Buffer.from(text);
        return decoders[index]?.(bytes, 0, bytes.length) ?? null;
      }),
    );
  }

  async helperTables(): Promise<readonly string[]> {
    const { rows } = await this.client.query<{ tablename: string }>(
      "SELECT tablename FROM pg_tables WHERE tablename LIKE '\\_datatrace\\_%' ORDER BY 1",
    );
    return rows.map(({ tablename }) => tablename);
  }

  async helperRows(): Promise<string> {
    const lines: string[] = [];
    for (const table of helperTableNames) {
      const { rows } = await this.client.query<{ text: string }>(
        `SELECT to_json(t)::text AS text FROM ${quoteTable({ schema: helperSchema, table })} t ORDER BY 1`,
      );
      lines.push(table, ...rows.map(({ text }) => text));
    }
    return lines.join("\n");
  }

  async dropTable(target: TableName): Promise<void> {
    await this.client.query(`DROP TABLE ${quoteTable(target)}`);
  }

  async addUnique(target: TableName, column: string): Promise<void> {
    await this.client.query(`ALTER TABLE ${quoteTable(target)} ADD UNIQUE (${quoteName(column)})`);
  }

  async addCheck(target: TableName, column: string): Promise<void> {
    await this.client.query(`ALTER TABLE ${quoteTable(target)} ADD CHECK (${quoteName(column)} >= 0)`);
  }

  async createTable(target: TableName, columns: readonly string[]): Promise<void> {
    await this.client.query(`CREATE SCHEMA IF NOT EXISTS ${quoteName(target.schema)}`);
    await this.client.query(`CREATE TABLE ${quoteTable(target)} (${columns.join(", ")})`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.end();
  }
}
