import type { ServerSessions } from "./server-sessions.ts";

/**
 * A row of nothing in the WAL: a logical message that the slot decodes in commit order. Transactional, because others
 * wait for the WAL writer, 200 ms or more; committed without waiting for a standby, which may never answer (the
 * sessions set `synchronous_commit = local`).
 */
export async function writeWatermark(
  sessions: ServerSessions,
  prefix: string,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  await sessions.control(signal, (session) =>
    session.query("SELECT pg_logical_emit_message(true, $1, $2)", [prefix, id]),
  );
}
