import { setTimeout as delay } from "node:timers/promises";
import { formatByteSize } from "@datatrace/runtime";
import type { CommandContext } from "./command-context.ts";
import { etaSeconds, etaText } from "./eta.ts";
import { openExistingLog } from "./open-log.ts";
import type { LogSize } from "./open-log.ts";
import { hasRun } from "./pipeline-state.ts";
import { pipelineStatus } from "./pipeline-status.ts";
import type { PipelineStatus, TableStatus } from "./pipeline-status.ts";
import { countText, textTable } from "./text-table.ts";

/** Long enough for a rate, short enough to wait for. */
const sampleMs = 1000;

interface Pace {
  readonly rowsPerSecond: number;
  readonly eta: string;
}

/** `status FILE`: what the log, the sources and the targets say, whether a process runs or not; disturbs none. */
export async function statusCommand(context: CommandContext): Promise<number> {
  const { pipeline, output, logger, signal } = context;
  await using log = await openExistingLog(pipeline, logger, signal);
  if (log === null || !(await hasRun(log.events, pipeline, signal))) {
    const { log: place } = pipeline;
    const where = place.kind === "kafka" ? "on Kafka" : `in ${place.directory}`;
    output.say(`Never run: there is no event log of this pipeline ${where}.`);
    output.record("status", { pipeline: pipeline.name, ran: false });
    return 0;
  }
  const first = await pipelineStatus(pipeline, log, logger, signal);
  const began = performance.now();
  const moving = first.tables.some(({ phase, lagRows }) => phase === "snapshotting" || (lagRows ?? 0) > 0);
  if (moving) await delay(sampleMs, undefined, { signal });
  const status = moving ? await pipelineStatus(pipeline, log, logger, signal) : first;
  const seconds = (performance.now() - began) / 1000;
  const paces = new Map(status.tables.map((table) => [table, paceOf(table, first, seconds)]));
  const size = await log.size(signal);
  output.record("status", {
    pipeline: pipeline.name,
    ran: true,
    ...(size === null ? {} : { log: { sizeBytes: size.sizeBytes, maxSizeBytes: size.maxSizeBytes } }),
    ...status,
    tables: status.tables.map((table) => ({ ...table, ...paces.get(table) })),
  });
  for (const line of statusText(status, paces, size)) output.say(line);
  return 0;
}

/** What has happened to a table between two looks. */
function paceOf(now: TableStatus, first: PipelineStatus, seconds: number): Pace {
  const before = first.tables.find(
    ({ task, target, table }) => task === now.task && target === now.target && table === now.table,
  );
  if (before === undefined || before === now) return { rowsPerSecond: 0, eta: "" };
  if (now.phase === "snapshotting") {
    const rowsPerSecond = (now.rowsRead - before.rowsRead) / seconds;
    return { rowsPerSecond, eta: etaText(etaSeconds(now.estimatedRows - now.rowsRead, rowsPerSecond)) };
  }
  const rowsPerSecond = ((before.lagRows ?? 0) - (now.lagRows ?? 0)) / seconds;
  return { rowsPerSecond, eta: etaText(etaSeconds(now.lagRows ?? 0, rowsPerSecond)) };
}

function statusText(
  status: PipelineStatus,
  paces: ReadonlyMap<TableStatus, Pace>,
  size: LogSize | null,
): readonly string[] {
  const sources = status.sources.map(({ source, lagBytes, error }) => [
    source,
    lagBytes === null ? "-" : formatByteSize(lagBytes),
    error === null ? "" : `${error.code}: ${error.message}`,
  ]);
  const deliveries = status.deliveries.map(({ task, target, lagRows, parkedKeys, error }) => [
    task,
    target,
    countText(lagRows),
    countText(parkedKeys),
    error === null ? "" : `${error.code}: ${error.message}`,
  ]);
  const tables = status.tables.map((table) => [
    table.task,
    table.table,
    `${table.target}: ${table.targetTable}`,
    table.phase,
    countText(table.rowsRead),
    countText(table.lagRows),
    countText(table.parkedKeys),
    paces.get(table)?.eta ?? "",
    table.error === null ? "" : table.error.code,
  ]);
  const stopped = status.tables.flatMap(({ table, error }) =>
    error === null ? [] : [`error ${error.code}: ${table}: ${error.message}`, `  fix: ${error.fix}`],
  );
  return [
    ...textTable([["source", "behind", "error"], ...sources]),
    "",
    ...textTable([["task", "target", "lag rows", "quarantined keys", "error"], ...deliveries]),
    "",
    ...textTable([
      ["task", "table", "target", "phase", "rows read", "lag rows", "quarantined", "done in", "error"],
      ...tables,
    ]),
    "",
    ...(size === null ? [] : [`event log: ${formatByteSize(size.sizeBytes)}`]),
    ...new Set(stopped),
  ];
}
