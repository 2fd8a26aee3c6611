/** A table of the workload. Every table has `chg`, the number of the change that wrote the row last. */
export interface WorkloadTable {
  readonly name: string;
  readonly key: readonly string[];
}

export const accounts: WorkloadTable = { name: "account", key: ["id"] };
export const documents: WorkloadTable = { name: "document", key: ["id"] };
export const pairs: WorkloadTable = { name: "pair", key: ["realm", "number"] };
export const mixtures: WorkloadTable = { name: "mixture", key: ["id"] };
export const evolvings: WorkloadTable = { name: "evolving", key: ["id"] };

export const workloadTables: readonly WorkloadTable[] = [accounts, documents, pairs, mixtures, evolvings];

export const moods = ["calm", "o'k", "grün", "with space"] as const;

/** Rows that each table starts with, so that the snapshot has something to do while changes stream. */
export const initialRows = 3_000;

/**
 * Makes the schema with its five tables, the ledger, and the first rows. `document` keeps its large columns out of
 * line, so that an update of the others leaves them out of the stream; `mixture` sends whole old rows. The ledger gets
 * a row per change in the change's own transaction: what is rolled back vanishes from both.
 */
export function workloadSchema(schema: string): string {
  return `
    CREATE SCHEMA ${schema};
    SET LOCAL search_path = ${schema};
    CREATE SEQUENCE chg;
    CREATE TABLE ledger (
      seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
      early boolean NOT NULL DEFAULT current_setting('workload.early')::boolean,
      tbl text NOT NULL, op text NOT NULL, key jsonb NOT NULL, new_key jsonb, chg bigint NOT NULL);
    CREATE TABLE account (
      id bigint PRIMARY KEY, chg bigint NOT NULL DEFAULT nextval('${schema}.chg'), owner text NOT NULL,
      balance numeric(14,2), credit numeric, opened timestamptz, active boolean);
    CREATE TABLE document (
      id uuid PRIMARY KEY, chg bigint NOT NULL DEFAULT nextval('${schema}.chg'), title varchar(200), body text, meta jsonb,
      raw json, revision integer);
    ALTER TABLE document ALTER body SET STORAGE EXTERNAL, ALTER meta SET STORAGE EXTERNAL;
    CREATE TABLE pair (
      realm text NOT NULL, number integer NOT NULL, chg bigint NOT NULL DEFAULT nextval('${schema}.chg'), note text,
      score double precision, PRIMARY KEY (realm, number));
    CREATE TYPE mood AS ENUM (${moods.map((mood) => `'${mood.replaceAll("'", "''")}'`).join(", ")});
    CREATE TABLE mixture (
      id integer PRIMARY KEY, chg bigint NOT NULL DEFAULT nextval('${schema}.chg'), mood mood, tags text[],
      numbers integer[], payload bytea, day date, at time(3), stamp timestamp, ratio real, code char(5), small smallint);
    ALTER TABLE mixture REPLICA IDENTITY FULL;
    CREATE TABLE evolving (id bigint PRIMARY KEY, chg bigint NOT NULL DEFAULT nextval('${schema}.chg'), label text);
    INSERT INTO account SELECT g, nextval('chg'), 'owner ' || g, g * 1.25, g / 7.0, now(), g % 2 = 0
      FROM generate_series(1, ${initialRows}) g;
    INSERT INTO document SELECT lpad(to_hex(g), 32, '0')::uuid, nextval('chg'), 'title ' || g,
      (SELECT string_agg(md5(g::text || i), '') FROM generate_series(1, 100) i), jsonb_build_object('g', g), '{"g" : 1}', 0
      FROM generate_series(1, ${initialRows / 10}) g;
    INSERT INTO pair SELECT 'realm ' || g % 7, g, nextval('chg'), NULL, g / 3.0 FROM generate_series(1, ${initialRows}) g;
    INSERT INTO mixture SELECT g, nextval('chg'), 'calm', ARRAY['a', NULL, g::text], ARRAY[g], '\\x00ff', '2026-01-01',
      '12:00:00.123', '2026-01-01 12:00:00.123456', g / 3.0, 'abc', 7 FROM generate_series(1, ${initialRows}) g;
    INSERT INTO evolving SELECT g, nextval('chg'), 'label ' || g FROM generate_series(1, ${initialRows}) g;`;
}
