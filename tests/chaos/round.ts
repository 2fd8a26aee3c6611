import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

import { workloadSchema, workloadTables } from "../workload/chaos-tables.ts";
import { readLedger } from "../workload/ledger.ts";
import { LogAudit } from "../workload/log-audit.ts";
import type { AuditResult } from "../workload/log-audit.ts";
import { keepEverything, loggedChanges } from "../workload/logged-changes.ts";
import { Workload } from "../workload/workload.ts";
import { connected } from "./arena.ts";
import type { Arena } from "./arena.ts";
import { converge } from "./convergence.ts";
import type { Convergence } from "./convergence.ts";
import { isAtStart } from "./deck.ts";
import type { RoundPlan } from "./deck.ts";
import { failpoints } from "./faults.ts";
import type { Fault } from "./faults.ts";
import { inject, orderOf } from "./inject.ts";
import type { Scene } from "./inject.ts";
import { pipelineNames } from "./pipeline-names.ts";
import { clean, decommission, quarantined, streamBegins } from "./pipeline-state.ts";
import { Stage } from "./stage.ts";

export interface RoundLimits {
  readonly loadMs: number;
  readonly committed: number;
  readonly faults: number;
}

/** What a round must have had before its load may end. */
export const fullRound: RoundLimits = { loadMs: 10_000, committed: 1_000, faults: 3 };

export interface InjectedFault {
  readonly fault: string;
  readonly hit: boolean;
  readonly ms: number;
}

export interface RoundReport {
  readonly round: number;
  readonly ok: boolean;
  readonly topology: string;
  readonly loadMs: number;
  readonly committed: number;
  readonly rolledBack: number;
  readonly columnsAdded: number;
  readonly faults: readonly InjectedFault[];
  readonly firedFailpoints: readonly string[];
  readonly log: AuditResult | null;
  readonly compared: Convergence | null;
  readonly ledgerChanges: number;
  /** Why it is not ok. Names and counts, and keys of the random rows. */
  readonly problems: readonly string[];
  readonly ms: number;
}

/** Further rounds of the same failure tell nothing. */
const maxSelfExits = 2;
const drainDeadlineMs = 90_000;
const transactionsPerSecond = 180;

/**
 * Runs one round on servers that other rounds have used: a schema, a pipeline and a log of its own. `tell` gets what
 * happens as it happens, for somebody who watches.
 */
export async function runRound(
  arena: Arena,
  folder: string,
  index: number,
  plan: RoundPlan,
  limits: RoundLimits,
  tell: (line: string) => void,
): Promise<RoundReport> {
  const begunMs = performance.now();
  const names = pipelineNames(index);
  const { schema, pipeline } = names;
  const log = join(folder, "log");
  await removeFolder(folder);
  await mkdir(folder, { recursive: true });
  const file = join(folder, "pipeline.yaml");
  await writeFile(file, pipelineText(arena, pipeline, schema));
  await connected(arena.source.directUrl, async (client) => {
    await client.query("BEGIN");
    await client.query(workloadSchema(schema));
    await client.query("COMMIT");
  });
  await keepEverything(log, pipeline, schema);

  const stage = new Stage(folder, file, plan.topology);
  const workload = new Workload(
    { url: arena.source.directUrl, schema, random: plan.random.fork(2), clients: 5, transactionsPerSecond },
    true,
  );
  const [logFile, leasesFile] = [join(log, "log.sqlite"), join(log, "leases.sqlite")];
  const scene: Scene = { arena, stage, random: plan.random.fork(1), names, logFile, leasesFile, workload };
  const problems: string[] = [];
  const faults: InjectedFault[] = [];
  let audit: AuditResult | null = null;
  let compared: Convergence | null = null;
  let ledgerChanges = 0;
  let loadMs = 0;
  try {
    // In every second round transactions are open, and rows are written, before the stream exists.
    const early = plan.random.chance(0.5);
    if (early) workload.start();
    const atStart = plan.faults.filter(isAtStart);
    const armed = stage.start(atStart.flatMap((fault) => (fault.kind === "plain" ? [] : [orderOf(fault)])));
    await streamBegins(log, names);
    workload.streamExists();
    if (!early) workload.start();
    const loadBegunMs = performance.now();
    const pending: Fault[] = [...plan.faults];
    while (
      stage.selfExits.length <= maxSelfExits &&
      (pending.length > 0 ||
        performance.now() - loadBegunMs < limits.loadMs ||
        workload.counts.committed < limits.committed ||
        missingFaults(faults, limits))
    ) {
      const fault = pending.shift() ?? (missingFaults(faults, limits) ? spare(scene) : null);
      if (fault !== null) {
        const faultBegunMs = performance.now();
        const hit = await inject(scene, fault, armed[atStart.indexOf(fault)] ?? null);
        const injected = { fault: fault.name, hit, ms: Math.round(performance.now() - faultBegunMs) };
        faults.push(injected);
        tell(
          `${JSON.stringify(injected)} after ${Math.round(performance.now() - loadBegunMs)} ms, ${workload.counts.committed} committed`,
        );
      }
      await delay(scene.random.int(100, 900));
    }
    await workload.stop();
    loadMs = performance.now() - loadBegunMs;
    tell("load stopped");
    compared = await converge(arena, schema, drainDeadlineMs);
    if (compared.differences > 0) problems.push(`${compared.differences} rows differ`, ...compared.examples);
    tell(JSON.stringify(compared));
    if (!(await stage.stop())) problems.push("a part did not end with code 0 within 10 s of SIGTERM");
    const logAudit = new LogAudit();
    for await (const change of loggedChanges(log, pipeline, schema, AbortSignal.timeout(60_000))) logAudit.add(change);
    const { ledger, totals } = await connected(
      arena.source.directUrl,
      async (client) => await readLedger(client, schema),
    );
    ledgerChanges = totals.entries;
    audit = logAudit.result(ledger);
    tell(JSON.stringify(audit));
    if (audit.failures > 0) problems.push(`log: ${audit.failures} failures`, ...audit.examples);
    problems.push(...(await quarantined(arena, names)));
    if (problems.length === 0 && stage.selfExits.length === 0)
      problems.push(...(await decommission(arena, names, file)));
  } catch (error) {
    problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  // Whatever else went wrong: this is why.
  problems.push(...stage.selfExits.map(({ part, code, why }) => `${part} gave up with code ${code}: ${why}`));
  await workload.stop().catch((error: unknown) => problems.push(`workload: ${String(error)}`));
  if (problems.length > 0) await writeFile(join(folder, "output.txt"), stage.lines().join("\n"));
  await stage.abandon();
  arena.source.proxy.restore();
  arena.target.proxy.restore();
  await clean(arena, names);
  const counts = workload.counts;
  return {
    round: index,
    ok: problems.length === 0,
    topology: plan.topology,
    loadMs: Math.round(loadMs),
    committed: counts.committed,
    rolledBack: counts.rolledBack,
    columnsAdded: counts.columnsAdded,
    faults,
    firedFailpoints: stage.firedFailpoints(),
    log: audit,
    compared,
    ledgerChanges,
    problems,
    ms: Math.round(performance.now() - begunMs),
  };
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

function pipelineText(arena: Arena, pipeline: string, schema: string): string {
  return [
    `name: ${pipeline}`,
    "log: { directory: log }",
    "sources:",
    `  origin: { type: postgres, url: "${arena.source.url}" }`,
    "targets:",
    `  copy: { type: postgres, url: "${arena.target.url}" }`,
    "tasks:",
    "  all:",
    "    from: origin",
    "    to: [copy]",
    "    objects:",
    ...workloadTables.map(({ name }) => `      - table: ${schema}.${name}`),
    "    sync: { batch_size: 500, thread_count: 2, partitions: 2 }",
    "",
  ].join("\n");
}

function missingFaults(faults: readonly InjectedFault[], limits: RoundLimits): boolean {
  const hits = faults.filter((fault) => fault.hit);
  const atFailpoint = hits.some((fault) => failpoints.some(({ name }) => fault.fault.endsWith(name)));
  return hits.length < limits.faults || !atFailpoint;
}

/** A fault at a place that is reached under any load, for a round whose planned ones were not. */
function spare({ random }: Scene): Fault {
  const failpoint = random.pick(failpoints.filter(({ name }) => /^(log|sink)\.(before|after)_commit$/.test(name)));
  return { kind: "kill-at", name: failpoint.name, failpoint, hit: random.int(1, 5) };
}
