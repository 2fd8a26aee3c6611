import { Client } from "pg";
import { benchColumns, benchSchema, benchTypes } from "./bench-table.ts";

export interface RawUpsertResult {
  readonly rows: number;
  readonly ms: number;
}

/** PostgreSQL's array literal of texts that need no escape beyond quotes. */
function arrayLiteral(cells: readonly string[]): string {
  return `{${cells.map((cell) => `"${cell}"`).join(",")}}`;
}

/** Parameters of one statement: an array literal per column for rows `first`..`first + count - 1`. */
function parametersOf(first: number, count: number): readonly string[] {
  const rows = Array.from({ length: count }, (_, index) => {
    const id = first + index;
    const note = `note ${String(id).padStart(96, "abcdef0123456789")}`;
    return [
      String(id),
      String(id % 9973),
      `SKU-${id % 5000}`,
      String((id % 7) + 1),
      (Math.floor(id % 90000) / 100).toFixed(2),
      "2026-01-01 00:00:00.123456+00",
      note,
      id % 2 === 0 ? "t" : "f",
      String(id / 7),
      `tag ${id % 100}`,
    ];
  });
  return benchColumns.map((_, column) => arrayLiteral(rows.map((row) => row[column] ?? "")));
}

/** The statement that the sink runs, for the bench's table. */
export function upsertStatement(table: string): string {
  const columns = benchColumns.join(", ");
  const parameters = benchTypes.map((type, index) => `$${index + 1}::${type}[]`).join(", ");
  const updates = benchColumns.slice(1).map((name) => `${name} = excluded.${name}`);
  return `INSERT INTO ${benchSchema}.${table} (${columns}) SELECT * FROM unnest(${parameters})
    ON CONFLICT (id) DO UPDATE SET ${updates.join(", ")}`;
}

/**
 * Raw limit of the sink: `pg` alone runs the sink's unnest upserts with parameters made beforehand, a transaction per
 * batch with an update of an offset row in it, on as many connections as the sink uses.
 */
export async function rawUpsert(
  url: string,
  table: string,
  rows: number,
  batchRows: number,
  connections: number,
): Promise<RawUpsertResult> {
  const clients = Array.from({ length: connections }, () => new Client({ connectionString: url }));
  for (const client of clients) await client.connect();
  try {
    await clients[0]?.query(
      `CREATE TABLE ${benchSchema}.raw_offsets (partition integer PRIMARY KEY, next bigint NOT NULL)`,
    );
    await clients[0]?.query(
      `INSERT INTO ${benchSchema}.raw_offsets SELECT g, 0 FROM generate_series(0, ${connections - 1}) g`,
    );
    const batches: (readonly string[])[] = [];
    for (let first = 1; first <= rows; first += batchRows) {
      batches.push(parametersOf(first, Math.min(batchRows, rows - first + 1)));
    }
    const text = upsertStatement(table);
    const begunMs = performance.now();
    await Promise.all(
      clients.map(async (client, partition) => {
        for (let values = batches.shift(); values !== undefined; values = batches.shift()) {
          await client.query("BEGIN");
          await client.query(`UPDATE ${benchSchema}.raw_offsets SET next = next + 1 WHERE partition = ${partition}`);
          await client.query({ name: "upsert", text, values: [...values] });
          await client.query("COMMIT");
        }
      }),
    );
    return { rows, ms: performance.now() - begunMs };
  } finally {
    await Promise.all(clients.map(async (client) => await client.end()));
  }
}
