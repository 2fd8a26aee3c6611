import { PostgresRowReader } from "@datatrace/postgres";
import { compareTables } from "@datatrace/verify";
import { shopTables } from "./shop-schema.ts";

export interface ShopComparison {
  readonly rows: number;
  readonly differ: number;
  /** A line per table: counts, never values. */
  readonly tables: readonly string[];
}

/** Compares every table of the shop row by row, all columns. */
export async function compareShops(sourceUrl: string, targetUrl: string, signal: AbortSignal): Promise<ShopComparison> {
  let rows = 0;
  let differ = 0;
  const tables: string[] = [];
  for (const { name, key } of shopTables) {
    const result = await compareTables(
      new PostgresRowReader(sourceUrl, name, key),
      new PostgresRowReader(targetUrl, name, key),
      {},
      signal,
    );
    rows += result.sourceRows;
    differ += result.differences;
    tables.push(
      `${name.table.padEnd(12)} ${String(result.sourceRows).padStart(10)} rows, ${result.differences} differ` +
        (result.differences === 0
          ? ""
          : ` (${result.missing} missing, ${result.extra} extra, ${result.changed} changed, columns missing: ${result.columnsMissing.length})`),
    );
  }
  return { rows, differ, tables };
}
