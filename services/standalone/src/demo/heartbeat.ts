import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { LatencyWindow } from "./latency.ts";
import { shopSchema } from "./shop-schema.ts";

/** Between two beats: often enough for a p99, seldom enough to cost nothing. */
const beatIntervalMs = 40;

/**
 * What a user of the target sees: commits a row at the source, then looks for it at the target until it is there.
 * The measure is too long by up to one look, about 1 ms.
 */
export class Heartbeat {
  readonly #sourceUrl: string;
  readonly #targetUrl: string;
  readonly #stop = new AbortController();
  #window = new LatencyWindow();
  #running: Promise<void> = Promise.resolve();
  #waitingSinceMs: number | null = null;

  constructor(sourceUrl: string, targetUrl: string) {
    this.#sourceUrl = sourceUrl;
    this.#targetUrl = targetUrl;
  }

  /** Milliseconds from commit at the source to visible at the target. */
  get latency(): LatencyWindow {
    return this.#window;
  }

  /** Forgets what was measured so far: while the snapshot runs, changes wait behind it. */
  restart(): void {
    this.#window = new LatencyWindow();
  }

  /** How long the newest beat has been on its way; the lag in time. */
  get pendingMs(): number {
    return this.#waitingSinceMs === null ? 0 : performance.now() - this.#waitingSinceMs;
  }

  start(): void {
    this.#running = this.#beat();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #beat(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const source = connectable(this.#sourceUrl);
      const target = connectable(this.#targetUrl);
      try {
        await source.connect();
        await target.connect();
        while (!this.#stop.signal.aborted) await this.#once(source, target);
      } catch {
        // A server that is being killed, or a target table that is not there yet: both come back.
        await delay(100);
      } finally {
        this.#waitingSinceMs = null;
        await Promise.allSettled([source.end(), target.end()]);
      }
    }
  }

  async #once(source: Client, target: Client): Promise<void> {
    const updated = await source.query<{ beat: string }>(
      `UPDATE ${shopSchema}.heartbeats SET beat = beat + 1 WHERE id = 1 RETURNING beat`,
    );
    const beat = BigInt(updated.rows[0]?.beat ?? 0);
    const begunMs = performance.now();
    this.#waitingSinceMs = begunMs;
    while (!this.#stop.signal.aborted) {
      const seen = await target.query<{ beat: string }>({
        name: "beat",
        text: `SELECT beat FROM ${shopSchema}.heartbeats WHERE id = 1`,
      });
      if (BigInt(seen.rows[0]?.beat ?? -1) >= beat) {
        this.#window.add(performance.now() - begunMs);
        break;
      }
      await delay(1);
    }
    this.#waitingSinceMs = null;
    await delay(beatIntervalMs);
  }
}

function connectable(url: string): Client {
  const client = new Client({ connectionString: url, application_name: "shop heartbeat" });
  client.on("error", () => undefined);
  return client;
}
