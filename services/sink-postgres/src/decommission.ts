import { quoteName } from "@datatrace/postgres";
import type { PipelinedSession } from "@datatrace/postgres";
import { existingHelperTables, helperTableNames, lockShapeSql } from "./helper-tables.ts";
import type { HelperTables } from "./helper-tables.ts";
import { sqlStateOf } from "./target-error.ts";
import { inTransaction } from "./transaction.ts";

/**
 * Forgets a delivery. The helper tables go with the last one that used them, and their schema if nothing else is in it.
 * Target tables and their rows stay.
 */
export async function decommissionDelivery(
  session: PipelinedSession,
  tables: HelperTables,
  delivery: string,
  apply: boolean,
): Promise<readonly string[]> {
  const existing = await existingHelperTables(session, tables.schema);
  if (existing.length < helperTableNames.length) return [];
  return inTransaction(session, async () => {
    await session.send({ text: lockShapeSql });
    const all = [tables.offsets, tables.quarantine, tables.rereads, tables.units];
    const counts = await session.send({
      text: `SELECT ${all.map((table) => `(SELECT count(*) FROM ${table} WHERE delivery = $1)`).join(", ")}`,
      values: [delivery],
    });
    const [offsets, quarantined, rereads, units] = (counts.rows[0] ?? []).map(Number);
    const others = await session.send({
      text: `SELECT ${all.map((table) => `EXISTS (SELECT FROM ${table} WHERE delivery <> $1)`).join(" OR ")}`,
      values: [delivery],
    });
    const last = others.rows[0]?.[0] === "f";
    if (apply) {
      for (const table of all)
        await session.send({ text: `DELETE FROM ${table} WHERE delivery = $1`, values: [delivery] });
      if (last) await dropHelperTables(session, tables, all);
    }
    const found = [
      { count: offsets, what: `${offsets} stored offsets of delivery ${delivery}` },
      { count: quarantined, what: `${quarantined} quarantined changes` },
      { count: rereads, what: `${rereads} open requests for rows` },
      { count: units, what: `the record of ${units} target tables (the tables and their rows stay)` },
    ].flatMap(({ count, what }) => (count === 0 ? [] : [what]));
    return last ? [...found, `the helper tables in schema ${tables.schema}`] : found;
  });
}

/** The schema goes too when it is empty and this role's own: one that was made for us by somebody else stays. */
async function dropHelperTables(
  session: PipelinedSession,
  tables: HelperTables,
  all: readonly string[],
): Promise<void> {
  await session.send({ text: `DROP TABLE ${all.join(", ")}` });
  const own = await session.send({
    text: `SELECT 1 FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
      WHERE n.nspname = $1 AND n.nspname <> 'public' AND r.rolname = current_user`,
    values: [tables.schema],
  });
  if (own.rows.length === 0) return;
  await session.send({ text: "SAVEPOINT before_schema" });
  try {
    await session.send({ text: `DROP SCHEMA ${quoteName(tables.schema)} RESTRICT` });
  } catch (error) {
    // 2BP01: something else lives there.
    if (sqlStateOf(error) !== "2BP01") throw error;
    await session.send({ text: "ROLLBACK TO SAVEPOINT before_schema" });
  }
}
