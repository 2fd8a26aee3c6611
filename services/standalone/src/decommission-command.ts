import { createInterface } from "node:readline/promises";
import { setTimeout as delay } from "node:timers/promises";
import { DataTraceError } from "@datatrace/core";
import { didYouMean } from "@datatrace/runtime";
import type { Pipeline, Task } from "@datatrace/runtime";
import type { CommandContext } from "./command-context.ts";
import { openExistingLog } from "./open-log.ts";
import { usedSources } from "./open-connectors.ts";
import type { Output } from "./output.ts";
import { PipelineSpecs } from "./service/pipeline-specs.ts";
import { captureRemoval, deliveryRemoval } from "./removal.ts";
import type { Removal } from "./removal.ts";

interface Found {
  readonly where: string;
  readonly what: readonly string[];
}

/** A run that is still alive learns within this time that it has lost its writer; until then it may make things anew. */
const settleMs = 500;
/** One that was killed is taken for alive by the log for some seconds. */
const patienceMs = 15_000;

/**
 * `decommission FILE`: shows what the pipeline has made, asks, and removes it; target tables and their rows stay. A run
 * that is still alive loses its writer first, and ends with `log.fenced`; a delivery that still runs is waited for, then
 * the error `log.group_in_use`. What is gone already is no error, so that a decommission that was cut off can be repeated.
 */
export async function decommissionCommand(context: CommandContext): Promise<number> {
  const { invocation, output, signal } = context;
  await using resources = new AsyncDisposableStack();
  const removals = await plan(context, resources);
  // Only where it is sure to be removed: a look disturbs nobody.
  if (invocation.yes) for (const removal of removals) await removal.fence();
  const found = await look(removals);
  for (const { where, what } of found) {
    output.record("removal", { where, what });
    output.say(`${where}:`);
    for (const line of what) output.say(`  ${line}`);
  }
  if (found.length === 0) {
    output.say("Nothing of this pipeline is left.");
    output.record("result", { removed: false });
    return 0;
  }
  output.say("The target tables and their rows stay.");
  if (!invocation.yes && !(await confirmed(output, signal))) {
    output.say("Nothing was removed.");
    output.record("result", { removed: false });
    return 1;
  }
  await removeAll(removals, context);
  output.say(
    invocation.delivery === null
      ? "Removed. The next `run` begins afresh."
      : "Removed. Take it out of the file, or the next `run` delivers it afresh.",
  );
  output.record("result", { removed: true });
  return 0;
}

async function look(removals: readonly Removal[]): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const removal of removals) {
    const what = await removal.look();
    if (what.length > 0) found.push({ where: removal.where, what });
  }
  return found;
}

/** Until nothing is found any more. */
async function removeAll(removals: readonly Removal[], { logger, signal }: CommandContext): Promise<void> {
  const endMs = performance.now() + patienceMs;
  for (let round = 1; ; round += 1) {
    const inUse = await removeUnused(removals);
    await delay(settleMs, undefined, { signal });
    const left = inUse === null ? await look(removals) : [];
    if (inUse === null && left.length === 0) return;
    if (performance.now() > endMs) throw inUse ?? madeAgain(left);
    if (inUse !== null && round === 1) logger.warn("a process still reads the log, waits for its end", inUse.detail);
  }
}

/** Answers who is in the way; the others are removed. */
async function removeUnused(removals: readonly Removal[]): Promise<DataTraceError | null> {
  let inUse: DataTraceError | null = null;
  for (const removal of removals) {
    try {
      await removal.remove();
    } catch (error) {
      if (!(error instanceof DataTraceError) || error.code !== "log.group_in_use") throw error;
      inUse ??= stillRuns(removal.where, error);
    }
  }
  return inUse;
}

function stillRuns(where: string, cause: DataTraceError): DataTraceError {
  return new DataTraceError("log.group_in_use", {
    cause,
    message: `Not all was removed: a process with the ${where} still runs.`,
    detail: { where, ...cause.detail },
  });
}

function madeAgain(left: readonly Found[]): DataTraceError {
  return new DataTraceError("config.usage", {
    message: "What is removed is made again: a run of this pipeline seems to be alive.",
    fix: "Stop it, then decommission again.",
    detail: { where: left.map(({ where }) => where).join(", ") },
  });
}

async function confirmed(output: Output, signal: AbortSignal): Promise<boolean> {
  if (output.json || !process.stdin.isTTY || !process.stdout.isTTY) {
    throw new DataTraceError("config.usage", {
      message: "Nothing was removed: there is no terminal to ask on.",
      fix: "Look at what would be removed, and give `--yes`.",
    });
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await terminal.question("Remove all this? [y/N] ", { signal })).trim());
  } finally {
    terminal.close();
  }
}

/** In the order of removal: captures first, so that nothing new arrives; then the deliveries. */
async function plan(context: CommandContext, resources: AsyncDisposableStack): Promise<readonly Removal[]> {
  const { pipeline, invocation, logger, signal } = context;
  const log = resources.use(await openExistingLog(pipeline, logger, signal));
  const removals: Removal[] = [];
  const deliveries = chosen(pipeline, invocation.delivery);
  const specs = log === null || pipeline.log.kind !== "kafka" ? null : await PipelineSpecs.find(context, log);
  // Who runs it stops first, and removes what is his own; what is left is removed here, and the specs go at last.
  if (specs !== null) removals.push(specs.asked());
  if (invocation.delivery === null) {
    for (const endpoint of usedSources(pipeline)) {
      removals.push(captureRemoval(context, endpoint, log, resources));
    }
  }
  for (const { task, target } of deliveries) {
    removals.push(deliveryRemoval(context, task, target, log, resources));
  }
  if (specs !== null) removals.push(specs.forgotten());
  return removals;
}

/** @throws DataTraceError `config.usage` when the file has no such delivery. */
function chosen(
  { tasks }: Pipeline,
  wanted: string | null,
): readonly { readonly task: Task; readonly target: string }[] {
  const all = tasks.flatMap((task) => task.to.map((target) => ({ task, target })));
  if (wanted === null) return all;
  const nameOf = ({ task, target }: (typeof all)[number]): string => `${task.id}.${target}`;
  const found = all.filter((delivery) => nameOf(delivery) === wanted);
  if (found.length > 0) return found;
  throw new DataTraceError("config.usage", {
    message: `The file has no delivery \`${wanted}\`${didYouMean(wanted, all.map(nameOf)) || "."}`,
    fix: `One of ${all.map(nameOf).join(", ")}.`,
  });
}
