import { workerData } from "node:worker_threads";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { benchSchema } from "./bench-table.ts";

/** What the load thread is told. */
export interface LatencyLoad {
  readonly url: string;
  readonly table: string;
  readonly firstId: number;
  readonly transactions: number;
  readonly transactionsPerSecond: number;
  /** Microseconds of `process.hrtime` at which the answer to each commit came, by id - firstId. */
  readonly committedUs: SharedArrayBuffer;
}

const clients = 12;

/**
 * Open loop: each transaction has its moment, whether or not those before it have been answered. In a thread of its
 * own, so that making load does not delay the measuring.
 */
const load = workerData as LatencyLoad;
const committedUs = new Float64Array(load.committedUs);
const insert = `INSERT INTO ${benchSchema}.${load.table}
  VALUES ($1, 7, 'SKU-1', 1, 9.99, now(), 'note that makes the row about as long as those of the other benches: 0123456789012345', true, 0.5, 'tag')`;
const begunMs = performance.now();
let next = 0;

async function client(): Promise<void> {
  const connection = new Client({ connectionString: load.url });
  await connection.connect();
  for (;;) {
    const index = next;
    next += 1;
    if (index >= load.transactions) break;
    const waitMs = begunMs + (index * 1_000) / load.transactionsPerSecond - performance.now();
    if (waitMs > 0) await delay(waitMs);
    await connection.query({ name: "insert", text: insert, values: [load.firstId + index] });
    committedUs[index] = Number(process.hrtime.bigint() / 1_000n);
  }
  await connection.end();
}

await Promise.all(Array.from({ length: clients }, client));
