import { positionTopic } from "@datatrace/core";
import { openSqliteEventLog } from "@datatrace/event-log-sqlite";
import { waitFor } from "@datatrace/testkit";
import { DataTraceProcess } from "../workload/datatrace-process.ts";
import { connected } from "./arena.ts";
import type { Arena } from "./arena.ts";
import type { PipelineNames } from "./pipeline-names.ts";

/** Returns when the capture has stored its first position: whatever begins from now on is in its stream. */
export async function streamBegins(directory: string, { capture }: PipelineNames): Promise<void> {
  await using log = await openSqliteEventLog({ directory });
  const topic = positionTopic(capture);
  await waitFor(async () => (await log.topic(topic)) !== null && (await log.latestByKey(topic)).length > 0, {
    deadlineMs: 60_000,
    what: "the first position",
    intervalMs: 25,
  });
}

/** Nothing that the workload writes may be refused by the target. */
export async function quarantined(arena: Arena, { delivery }: PipelineNames): Promise<readonly string[]> {
  return await connected(arena.target.directUrl, async (client) => {
    const result = await client.query<{ code: string; n: string }>(
      "SELECT code, count(*) AS n FROM datatrace._datatrace_quarantine WHERE delivery = $1 GROUP BY code",
      [delivery],
    );
    return result.rows.map((row) => `${row.n} changes in quarantine: ${row.code}`);
  });
}

export async function decommission(
  arena: Arena,
  { slotPattern }: PipelineNames,
  file: string,
): Promise<readonly string[]> {
  const process = new DataTraceProcess({ args: ["decommission", file, "--yes"] });
  const end = await process.ended;
  if (end.code !== 0) return [`decommission ended with code ${end.code}: ${process.lines.slice(-5).join(" | ")}`];
  return await connected(arena.source.directUrl, async (client) => {
    const slots = await client.query("SELECT FROM pg_replication_slots WHERE slot_name LIKE $1", [slotPattern]);
    return slots.rowCount === 0 ? [] : ["decommission left the slot behind"];
  });
}

/** Whatever happened: the next round finds no slot that holds WAL, and no tables of this one. */
export async function clean(arena: Arena, { schema, slotPattern }: PipelineNames): Promise<void> {
  for (const side of [arena.source, arena.target]) {
    if (side.server.pid === undefined) await side.server.start();
  }
  await connected(arena.source.directUrl, async (client) => {
    await client.query(
      "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active AND slot_name LIKE $1",
      [slotPattern],
    );
    await waitFor(
      async () =>
        (
          await client.query<{ n: string }>(
            "SELECT count(*) AS n FROM pg_replication_slots WHERE active AND slot_name LIKE $1",
            [slotPattern],
          )
        ).rows[0]?.n === "0",
      { deadlineMs: 10_000, what: "the slot to be free" },
    );
    await client.query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE $1", [
      slotPattern,
    ]);
    await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  });
  await connected(arena.target.directUrl, async (client) => {
    await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  });
}
