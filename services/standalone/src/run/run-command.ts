import { collectSeldom, Health, Metrics, openAdminServer } from "@datatrace/runtime";
import { defaultPort } from "../command-line.ts";
import type { CommandContext } from "../command-context.ts";
import { deliverEverything } from "./caught-up.ts";
import type { DeliveredParts } from "./caught-up.ts";
import { openLog } from "../open-log.ts";
import { noticeOf } from "../output.ts";
import { explainFailures } from "./failure-findings.ts";
import { levelSwitch } from "./level-switch.ts";
import { openCaptures, openDeliveries } from "./open-parts.ts";
import { collectMetrics } from "./part-metrics.ts";
import { PartSupervisor } from "./part-supervisor.ts";
import { RunProgress } from "./run-progress.ts";
import type { PartContext } from "./run-part.ts";

/** How often the parts are looked at: for health, and to see whether one is stuck. */
const observeMs = 500;

/** `run FILE`: captures and deliveries in this process, until stopped, or until caught up. */
export async function runCommand(run: CommandContext): Promise<number> {
  const { pipeline, invocation, output, logger, signal } = run;
  if (invocation.only === "sink") collectSeldom();
  await using opened = await openLog(pipeline, logger, signal);
  const { events: log, registry } = opened;
  const metrics = new Metrics();
  const health = new Health();
  const stop = new AbortController();
  await using parts = new AsyncDisposableStack();
  const context: PartContext = {
    pipeline,
    log,
    registry,
    logger,
    metrics,
    signal: AbortSignal.any([signal, stop.signal]),
  };
  const captures = invocation.only === "sink" ? [] : await openCaptures(context, opened, parts);
  const deliveries = invocation.only === "capture" ? [] : openDeliveries(context, parts);
  const supervisor = new PartSupervisor([...captures, ...deliveries], stop, {
    health,
    failed: ({ part, error }) => {
      output.notice({ ...noticeOf(error), at: part.name });
      if (noticeOf(error).code === "internal.bug") logger.error("internal error", { part: part.name, error });
    },
  });
  const readiness = () => {
    supervisor.observe();
    return health.readiness();
  };
  metrics.collect = () => collectMetrics(metrics, readiness(), opened, [...captures, ...deliveries]);
  await using admin = await openAdminServer(
    { health: { readiness }, metrics, logger },
    { host: invocation.host, port: invocation.port ?? defaultPort, orAnyPort: invocation.port === null },
  );
  using _level = levelSwitch(logger);
  logger.info("run started", { pipeline: pipeline.name, pid: process.pid, url: admin.url });
  output.record("started", { pipeline: pipeline.name, pid: process.pid, url: admin.url });
  output.say(`health and metrics: ${admin.url}`);

  using progress = new RunProgress(run, captures, deliveries);
  const observer = setInterval(() => supervisor.observe(), observeMs);
  try {
    const running = supervisor.run();
    const sayResult = endsByItself(run)
      ? await untilDelivered(run, { captures, deliveries, log: opened, health }, context.signal, running)
      : await running;
    stop.abort();
    await running;
    // Nothing comes after the result.
    progress[Symbol.dispose]();
    await explainFailures(run, supervisor.failures);
    const code = sayResult?.() ?? 0;
    return supervisor.failures.length > 0 ? 1 : code;
  } finally {
    stop.abort();
    clearInterval(observer);
    logger.info("run ended", { pipeline: pipeline.name });
  }
}

/** Asked to, or because snapshots alone are wanted: then nothing is left to do when they are delivered. */
function endsByItself({ pipeline, invocation }: CommandContext): boolean {
  return invocation.untilCaughtUp || pipeline.tasks.every(({ mode }) => mode === "snapshot");
}

/** What says the result and answers the exit code; nothing when the parts have ended before, stopped or failed. */
async function untilDelivered(
  run: CommandContext,
  parts: DeliveredParts,
  signal: AbortSignal,
  running: Promise<void>,
): Promise<(() => number) | void> {
  try {
    return await Promise.race([deliverEverything(run, parts, signal), running]);
  } catch (error) {
    // Failed parts have stopped the others, and said why.
    if (!signal.aborted || run.signal.aborted) throw error;
    return await running;
  }
}
