import type { PipelinedSession } from "@datatrace/postgres";
import type { SessionPool } from "./session-pool.ts";

/** Application name of every session of a sink: only these are ever ended by another sink. */
export const sinkApplicationName = "datatrace-sink";

const pollMs = 100;

/**
 * Ends sessions of earlier owners that hold what `waiter` waits for. An owner that works is idle in its transaction for
 * a round trip only; one that has been so for `idleMs` is frozen or gone. The server would end it too, by its limit on
 * idle transactions, but only after 30 s.
 */
const endHolders = `SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
  WHERE pid = ANY (pg_blocking_pids($1)) AND application_name = $2 AND datname = current_database()
    AND state IN ('idle in transaction', 'idle in transaction (aborted)')
    AND state_change < clock_timestamp() - $3::bigint * interval '1 millisecond'`;

export interface TakeOver {
  /** How long an owner must have been idle in its transaction. */
  readonly idleMs: number;
  /** How long `work` may take before somebody is thought to be in its way. Default 200. */
  readonly lookAfterMs?: number;
}

/**
 * Runs `work`, which locks rows of the helper tables on `session`, and meanwhile takes those locks away from owners
 * that no longer move. Where the role may not end them the wait lasts until the server ends them itself.
 */
export async function takingOver<T>(
  pool: SessionPool,
  session: PipelinedSession,
  { idleMs, lookAfterMs = pollMs * 2 }: TakeOver,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const done = new AbortController();
  const watching = watch(pool, session.pid, { idleMs, lookAfterMs }, AbortSignal.any([signal, done.signal]));
  try {
    return await work();
  } finally {
    done.abort();
    await watching;
  }
}

/** Never fails: the wait that it shortens has its own limits. */
async function watch(
  pool: SessionPool,
  waiter: number,
  { idleMs, lookAfterMs }: Required<TakeOver>,
  signal: AbortSignal,
): Promise<void> {
  try {
    await aborted(signal, lookAfterMs);
    if (signal.aborted) return;
    await using session = await pool.extra(signal);
    while (!signal.aborted) {
      await session.send({ text: endHolders, values: [String(waiter), sinkApplicationName, String(idleMs)] });
      await aborted(signal, pollMs);
    }
  } catch {
    // Without a second session, or without the right to end another, the server's own limit decides.
  }
}

async function aborted(signal: AbortSignal, timeoutMs: number): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const finish = (): void => resolve();
  const timer = setTimeout(finish, timeoutMs);
  signal.addEventListener("abort", finish, { once: true });
  await promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", finish);
}
