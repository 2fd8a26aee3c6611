import { quoteName, quoteTable } from "@datatrace/postgres";
import type { PipelinedSession } from "@datatrace/postgres";
import { inTransaction } from "./transaction.ts";

/** Names of the helper tables, quoted with their schema, ready for SQL. */
export interface HelperTables {
  readonly schema: string;
  /** Where each delivery stands: changed in the transaction of the rows (I5). */
  readonly offsets: string;
  /** Changes that were not applied. */
  readonly quarantine: string;
  /** Keys whose full row was asked for. */
  readonly rereads: string;
  /** Target tables that a delivery has made or adopted. */
  readonly units: string;
}

export const helperTableNames = [
  "_datatrace_offsets",
  "_datatrace_quarantine",
  "_datatrace_rereads",
  "_datatrace_units",
] as const;

export function helperTables(schema: string): HelperTables {
  const [offsets, quarantine, rereads, units] = helperTableNames.map((table) => quoteTable({ schema, table })) as [
    string,
    string,
    string,
    string,
  ];
  return { schema, offsets, quarantine, rereads, units };
}

/**
 * Every change of the target's shape by a DataTrace process takes this lock until it commits, so that two members that
 * start together do not both create. The number is the ASCII text `datatrac`.
 */
export const lockShapeSql = "SELECT pg_advisory_xact_lock(7233190438448030051)";

/**
 * `fillfactor`: an offset is rewritten at every apply, and stays on its page (HOT) while there is room. `json`, not
 * `jsonb`: a header is kept as it came.
 */
function definitions(tables: HelperTables): readonly string[] {
  return [
    `CREATE TABLE ${tables.offsets} (
      delivery text NOT NULL, topic text NOT NULL, partition int NOT NULL, topic_epoch int NOT NULL,
      epoch bigint NOT NULL, next_offset bigint NOT NULL, claimed_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (delivery, topic, partition)) WITH (fillfactor = 40)`,
    `CREATE TABLE ${tables.quarantine} (
      delivery text NOT NULL, topic text NOT NULL, partition int NOT NULL, record_offset bigint NOT NULL,
      target_schema text NOT NULL, target_table text NOT NULL, key bytea NOT NULL, key_text text NOT NULL,
      value bytea, headers json NOT NULL, code text NOT NULL, detail text NOT NULL,
      state text NOT NULL CHECK (state IN ('parked', 'skipped')), recorded_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (delivery, topic, partition, record_offset))`,
    `CREATE TABLE ${tables.rereads} (
      delivery text NOT NULL, topic text NOT NULL, key bytea NOT NULL, asked_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (delivery, topic, key))`,
    `CREATE TABLE ${tables.units} (
      delivery text NOT NULL, target_schema text NOT NULL, target_table text NOT NULL,
      strategy text NOT NULL, origin text NOT NULL CHECK (origin IN ('created', 'adopted')), columns text[] NOT NULL,
      prepared_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (delivery, target_schema, target_table))`,
  ];
}

/** Which of the helper tables are there. */
export async function existingHelperTables(session: PipelinedSession, schema: string): Promise<readonly string[]> {
  const { rows } = await session.send({
    text: `SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = ANY ($2::text[])`,
    values: [schema, `{${helperTableNames.join(",")}}`],
  });
  return rows.map(([name]) => name ?? "");
}

/**
 * Creates what is missing. Looks before it creates: `IF NOT EXISTS` asks for the privilege to create even where there
 * is nothing to do.
 */
export async function openHelperTables(session: PipelinedSession, tables: HelperTables): Promise<void> {
  if ((await existingHelperTables(session, tables.schema)).length === helperTableNames.length) return;
  await inTransaction(session, async () => {
    await session.send({ text: lockShapeSql });
    const { rows } = await session.send({
      text: "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1",
      values: [tables.schema],
    });
    if (rows.length === 0) await session.send({ text: `CREATE SCHEMA ${quoteName(tables.schema)}` });
    const existing = await existingHelperTables(session, tables.schema);
    const statements = definitions(tables);
    for (const [index, name] of helperTableNames.entries()) {
      const text = statements[index];
      if (text !== undefined && !existing.includes(name)) await session.send({ text });
    }
  });
}
