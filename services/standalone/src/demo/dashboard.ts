import { setTimeout as delay } from "node:timers/promises";
import { DataTraceError } from "@datatrace/core";
import type { ChaosMonkey } from "./chaos-monkey.ts";
import type { Heartbeat } from "./heartbeat.ts";
import type { Progress, ProgressReader } from "./log-progress.ts";
import type { Part } from "./part.ts";
import { Rate } from "./rate.ts";
import type { Screen } from "./screen.ts";
import { shopTables } from "./shop-schema.ts";
import type { ShopWorkload } from "./shop-workload.ts";
import type { DemoView } from "./view.ts";

export interface DashboardInputs {
  readonly screen: Screen;
  readonly progress: ProgressReader;
  readonly workload: ShopWorkload;
  readonly heartbeat: Heartbeat;
  readonly parts: readonly Part[];
  /** Null without `--kill`. */
  readonly monkey: ChaosMonkey | null;
}

const refreshMs = 250;
/** What cannot be read in this time is shown as it was: a killed capture keeps readers of its state waiting on Kafka. */
const lookMs = 2_000;
/** A part's trouble is shown this long after it last complained. */
const problemShownMs = 3_000;

/** Gathers what there is to see, four times a second, and shows it. */
export class Dashboard {
  readonly #inputs: DashboardInputs;
  readonly #snapshotRate = new Rate(2_000);
  readonly #commitRate = new Rate(3_000);
  readonly #begunMs = performance.now();
  #live = false;
  #last: Progress | null = null;

  constructor(inputs: DashboardInputs) {
    this.#inputs = inputs;
  }

  /** `draining`: the load has stopped, and what is on its way is being delivered. */
  async showUntil(signal: AbortSignal, draining: boolean): Promise<void> {
    const { screen, progress, heartbeat } = this.#inputs;
    while (!signal.aborted) {
      const looked = await progress.read(AbortSignal.timeout(lookMs)).catch(nothingNew);
      this.#last = looked ?? this.#last;
      const now = this.#last;
      if (now === null) continue;
      if (!this.#live && snapshotComplete(now)) {
        this.#live = true;
        heartbeat.restart();
        screen.say(`snapshot complete after ${((performance.now() - this.#begunMs) / 1_000).toFixed(1)} s`);
      }
      screen.show(this.#view(now, draining));
      await delay(refreshMs, undefined, { signal }).catch(() => undefined);
    }
  }

  #view({ tables, lagRows }: Progress, draining: boolean): DemoView {
    const { workload, heartbeat, monkey, parts } = this.#inputs;
    const nowMs = performance.now();
    const rows = tables.reduce((sum, table) => sum + table.rowsRead, 0);
    const estimatedRows = tables.reduce((sum, table) => sum + Math.max(table.estimatedRows, table.rowsRead), 0);
    const troubles = parts.flatMap(({ problem }) =>
      problem !== null && nowMs - problem.atMs < problemShownMs ? [problem] : [],
    );
    const stopped = tables.find((table) => table.error !== null)?.error ?? null;
    return {
      step: !this.#live ? "snapshot" : draining ? "draining" : "live",
      elapsedMs: nowMs - this.#begunMs,
      snapshot: { rows, estimatedRows, rowsPerSecond: this.#snapshotRate.perSecond(rows, nowMs) },
      live: {
        committed: workload.committed,
        committedPerSecond: this.#commitRate.perSecond(workload.committed, nowMs),
        lagRows,
        p50Ms: heartbeat.latency.quantile(0.5),
        p99Ms: heartbeat.latency.quantile(0.99),
        pendingMs: heartbeat.pendingMs,
      },
      kills: monkey?.kills ?? null,
      problem: stopped ?? troubles[0] ?? null,
    };
  }
}

function snapshotComplete({ tables }: Progress): boolean {
  const done = tables.filter((table) => table.phase === "streaming" || table.phase === "done");
  return done.length === shopTables.length;
}

/** A part that is writing, or was frozen while it did, may keep us from looking for a moment. */
function nothingNew(error: unknown): null {
  if (error instanceof DataTraceError && error.retry === "timed") return null;
  if (error instanceof DOMException && error.name === "TimeoutError") return null;
  throw error;
}
