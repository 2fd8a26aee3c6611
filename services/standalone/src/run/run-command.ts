import { Health, Metrics, collectSeldom, nextLogLevel, openAdminServer } from "@datatrace/runtime";
import type { Readiness, StructuredLogger } from "@datatrace/runtime";
import { CapturePart } from "./capture-part.ts";
import { defaultPort } from "../command-line.ts";
import type { CommandContext } from "../command-context.ts";
import { deliverEverything } from "./caught-up.ts";
import type { DeliveredParts } from "./caught-up.ts";
import { DeliveryPart } from "./delivery-part.ts";
import { openLog } from "../open-log.ts";
import type { OpenedLog } from "../open-log.ts";
import { usedSources } from "../open-connectors.ts";
import { noticeOf } from "../output.ts";
import { explainFailures } from "./failure-findings.ts";
import { PartSupervisor } from "./part-supervisor.ts";
import { publishedTables } from "../pipeline-state.ts";
import { RegisteringLog } from "./registering-log.ts";
import { RunProgress } from "./run-progress.ts";
import type { PartContext, RunPart } from "./run-part.ts";
import { TableChoice } from "./table-choice.ts";

/** How often the parts are looked at: for health, and to see whether one is stuck. */
const observeMs = 500;
const collectTimeoutMs = 2_000;

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
  metrics.collect = () => collect(metrics, readiness(), opened, [...captures, ...deliveries]);
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

async function collect(
  metrics: Metrics,
  { ready }: Readiness,
  log: OpenedLog,
  parts: readonly RunPart[],
): Promise<void> {
  const signal = AbortSignal.timeout(collectTimeoutMs);
  metrics.ready(ready);
  await Promise.all(parts.map((part) => part.collect(signal)));
  try {
    const size = await log.size(signal);
    if (size !== null) metrics.logSize(size.usedBytes, size.maxSizeBytes);
  } catch {
    // A scrape answers also when the log is busy: the last value stays.
  }
}

/** SIGUSR2 goes on to the next level, while the process runs. */
function levelSwitch(logger: StructuredLogger): Disposable {
  const next = (): void => {
    logger.level = nextLogLevel(logger.level);
    logger.info("log level changed", { to: logger.level });
  };
  process.on("SIGUSR2", next);
  return { [Symbol.dispose]: () => process.off("SIGUSR2", next) };
}

async function openCaptures(
  context: PartContext,
  opened: OpenedLog,
  stack: AsyncDisposableStack,
): Promise<readonly CapturePart[]> {
  const { pipeline, log, logger, signal } = context;
  const captured = new Map(
    await Promise.all(
      usedSources(pipeline).map(async ({ id }) => {
        const tables = await publishedTables(opened, pipeline, id, signal);
        return [id, tables.map(({ table }) => table)] as const;
      }),
    ),
  );
  const choice = new TableChoice(pipeline, captured, logger);
  return usedSources(pipeline).map((endpoint) => {
    const registering = new RegisteringLog(log, (topic) => choice.groupsOf(endpoint.id, topic));
    return stack.use(new CapturePart(endpoint, choice.of(endpoint.id), { ...context, log: registering }));
  });
}

function openDeliveries(context: PartContext, stack: AsyncDisposableStack): readonly DeliveryPart[] {
  return context.pipeline.tasks.flatMap((task) =>
    task.to.map((target) => stack.use(new DeliveryPart(task, target, context))),
  );
}
