import { Worker } from "node:worker_threads";
import { once } from "node:events";
import { waitFor } from "@datatrace/testkit";
import { Client } from "pg";
import { benchSchema } from "./bench-table.ts";
import type { LatencyLoad } from "./latency-load.ts";

export interface LatencyResult {
  readonly transactions: number;
  /** What the load really reached, from the first to the last commit. */
  readonly transactionsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const idsPerNotice = 900;

/** The target tells which rows have become visible: notices are sent at COMMIT, after the rows can be seen. */
async function tellWhenVisible(client: Client, table: string): Promise<void> {
  await client.query(`
    CREATE OR REPLACE FUNCTION ${benchSchema}.tell_visible() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM pg_notify('visible', string_agg(id::text, ',')) FROM
        (SELECT id, row_number() OVER () / ${idsPerNotice} AS part FROM fresh) numbered GROUP BY part;
      RETURN NULL;
    END $$;
    CREATE OR REPLACE TRIGGER tell_visible AFTER INSERT ON ${benchSchema}.${table}
      REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION ${benchSchema}.tell_visible()`);
}

/**
 * Commits rows at `sourceUrl` at a steady rate and listens at `targetUrl` for them: from the answer to COMMIT until
 * the notice of the target has arrived. With both urls the same it measures itself: its own error.
 */
export async function probeLatency(
  sourceUrl: string,
  targetUrl: string,
  table: string,
  load: Pick<LatencyLoad, "firstId" | "transactions" | "transactionsPerSecond"> & { readonly warmUp: number },
): Promise<LatencyResult> {
  const listener = new Client({ connectionString: targetUrl });
  await listener.connect();
  try {
    await tellWhenVisible(listener, table);
    const visibleUs = new Float64Array(load.transactions);
    let seen = 0;
    listener.on("notification", ({ payload }) => {
      const nowUs = Number(process.hrtime.bigint() / 1_000n);
      for (const id of (payload ?? "").split(",")) {
        const index = Number(id) - load.firstId;
        if (index < 0 || index >= load.transactions || visibleUs[index] !== 0) continue;
        visibleUs[index] = nowUs;
        seen += 1;
      }
    });
    await listener.query("LISTEN visible");
    const shared = new SharedArrayBuffer(load.transactions * Float64Array.BYTES_PER_ELEMENT);
    const workerData: LatencyLoad = { url: sourceUrl, table, committedUs: shared, ...load };
    const worker = new Worker(new URL("latency-load.ts", import.meta.url), { workerData });
    await once(worker, "exit");
    await waitFor(() => seen === load.transactions, { deadlineMs: 120_000, what: "all rows to be visible" });
    return summary(new Float64Array(shared), visibleUs, load.warmUp);
  } finally {
    await listener.end();
  }
}

function summary(committedUs: Float64Array, visibleUs: Float64Array, warmUp: number): LatencyResult {
  const latenciesMs = Array.from(visibleUs, (visible, index) => (visible - (committedUs[index] ?? 0)) / 1_000)
    .slice(warmUp)
    .toSorted((a, b) => a - b);
  const at = (fraction: number): number =>
    latenciesMs[Math.min(latenciesMs.length - 1, Math.floor(fraction * latenciesMs.length))] ?? 0;
  const seconds = (Math.max(...committedUs) - Math.min(...committedUs)) / 1_000_000;
  return {
    transactions: latenciesMs.length,
    transactionsPerSecond: committedUs.length / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
  };
}
