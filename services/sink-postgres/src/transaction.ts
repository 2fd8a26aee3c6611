import type { PipelinedSession } from "@datatrace/postgres";

/** Runs `work` in one READ COMMITTED transaction of the session; what it throws rolls back. */
export async function inTransaction<T>(session: PipelinedSession, work: () => Promise<T>): Promise<T> {
  await session.send({ text: "BEGIN ISOLATION LEVEL READ COMMITTED" });
  let result: T;
  try {
    result = await work();
  } catch (error) {
    if (session.usable) await session.send({ text: "ROLLBACK" }).catch(() => {});
    throw error;
  }
  await session.send({ text: "COMMIT" });
  return result;
}
