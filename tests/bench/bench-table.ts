import type { Client } from "pg";

export const benchSchema = "bench";
export const benchColumns = [
  "id",
  "customer",
  "sku",
  "quantity",
  "price",
  "placed",
  "note",
  "paid",
  "weight",
  "tag",
] as const;

/** SQL types of `benchColumns`, as the sink's parameters are cast. */
export const benchTypes = [
  "int8",
  "int8",
  "text",
  "int4",
  "numeric",
  "timestamptz",
  "text",
  "bool",
  "float8",
  "varchar",
] as const;

export function benchTableDdl(table: string): string {
  return `
    CREATE SCHEMA IF NOT EXISTS ${benchSchema};
    CREATE TABLE ${benchSchema}.${table} (
      id bigint PRIMARY KEY, customer bigint NOT NULL, sku text NOT NULL, quantity integer NOT NULL,
      price numeric(10,2) NOT NULL, placed timestamptz NOT NULL, note text NOT NULL, paid boolean NOT NULL,
      weight double precision NOT NULL, tag varchar(20))`;
}

/** Rows of about 200 bytes as COPY prints them, ids `from`..`to`, made by the server in one transaction per `step` rows. */
export async function fillBenchTable(
  client: Client,
  table: string,
  from: number,
  to: number,
  step = 100_000,
): Promise<void> {
  for (let first = from; first <= to; first += step) {
    const last = Math.min(to, first + step - 1);
    await client.query(`
      INSERT INTO ${benchSchema}.${table}
      SELECT g, g % 9973, 'SKU-' || g % 5000, g % 7 + 1, g % 90000 / 100.0, timestamptz '2026-01-01' + g * interval '1 second',
        'note ' || md5(g::text) || md5((g + 1)::text) || md5((g + 2)::text), g % 2 = 0, g / 7.0, 'tag ' || g % 100
      FROM generate_series(${first}, ${last}) g`);
  }
}
