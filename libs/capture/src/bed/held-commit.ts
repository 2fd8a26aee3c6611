import { waitFor } from "@datatrace/testkit";
import type { PostgresBed } from "./postgres-bed.ts";

/** Settings of a server on which a commit can be held: with `synchronous_commit = on` it waits for a standby for ever. */
export const holdingSettings = { synchronous_standby_names: "nobody", synchronous_commit: "local" } as const;

/**
 * Commits these statements in one transaction whose commit record is written, and so delivered, while nobody can see
 * it yet. @returns how to end that.
 */
export async function holdCommit(bed: PostgresBed, ...statements: readonly string[]): Promise<() => Promise<void>> {
  const session = await bed.connect();
  await session.query("SET synchronous_commit = on");
  const { rows } = await session.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  const [{ pid } = { pid: 0 }] = rows;
  await session.query("BEGIN");
  for (const statement of statements) await session.query(statement);
  const committed = session.query("COMMIT");
  // Whoever lets it end awaits it; a bed that is closed before cuts it off.
  committed.catch(() => undefined);
  await waitFor(
    async () => {
      const waiting = "SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep'";
      return (await bed.client.query(waiting, [pid])).rowCount === 1;
    },
    { deadlineMs: 10_000, what: "a commit that waits for a standby" },
  );
  return async () => {
    await bed.client.query("SELECT pg_cancel_backend($1)", [pid]);
    await committed;
  };
}
