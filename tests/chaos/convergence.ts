import { compareTables } from "@datatrace/verify";
import type { TableComparison } from "@datatrace/verify";
import { PostgresRowReader } from "@datatrace/postgres";
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "pg";
import { workloadTables } from "../workload/chaos-tables.ts";
import type { Arena } from "./arena.ts";
import { connected } from "./arena.ts";

export interface Convergence {
  readonly rows: number;
  readonly differences: number;
  /** From the end of the load until the sides were first equal. */
  readonly drainMs: number;
  readonly examples: readonly string[];
}

/** Counts and sums of `chg`: cheap to ask, and equal long before anybody needs the full comparison. Null = no table yet. */
async function outline(client: Client, schema: string): Promise<string | null> {
  try {
    const parts = workloadTables.map(({ name }) => `(SELECT (count(*), sum(chg))::text FROM ${schema}.${name})`);
    const result = await client.query<{ outline: string }>(`SELECT ${parts.join(" || ")} AS outline`);
    return result.rows[0]?.outline ?? null;
  } catch {
    return null;
  }
}

/** Waits until the target has what the source has, then compares row by row; goes on waiting when rows still differ. */
export async function converge(arena: Arena, schema: string, deadlineMs: number): Promise<Convergence> {
  const begunMs = performance.now();
  for (;;) {
    const equal = await connected(arena.source.directUrl, async (source) => {
      const expected = await outline(source, schema);
      return await connected(arena.target.directUrl, async (target) => {
        while (performance.now() - begunMs < deadlineMs) {
          if ((await outline(target, schema)) === expected) return true;
          await delay(25);
        }
        return false;
      });
    });
    const drainMs = performance.now() - begunMs;
    const result = await compareAll(arena, schema);
    if (result.differences === 0 || !equal || drainMs > deadlineMs) return { ...result, drainMs };
    await delay(50);
  }
}

async function compareAll(arena: Arena, schema: string): Promise<Omit<Convergence, "drainMs">> {
  const examples: string[] = [];
  let rows = 0;
  let differences = 0;
  for (const table of workloadTables) {
    const name = { schema, table: table.name };
    const comparison: TableComparison = await compareTables(
      new PostgresRowReader(arena.source.directUrl, name, table.key),
      new PostgresRowReader(arena.target.directUrl, name, table.key),
      { keepKeys: 3 },
      AbortSignal.timeout(60_000),
    );
    rows += comparison.sourceRows;
    differences += comparison.differences;
    for (const { key, kind } of comparison.keys) examples.push(`${table.name} ${key}: ${kind} in the target`);
    for (const column of comparison.columnsMissing)
      examples.push(`${table.name}: column ${column} missing in the target`);
  }
  return { rows, differences, examples };
}
