import { existsSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { DataTraceError, positionTopic, stateTopic } from "@datatrace/core";
import type { EventLog } from "@datatrace/core";
import type { Pipeline } from "@datatrace/runtime";
import type { CommandContext } from "./command-context.ts";
import { openLog } from "./open-log.ts";
import { openSink, openSource, usedSources } from "./open-connectors.ts";
import type { Output } from "./output.ts";
import { captureId, deliveryId } from "./part-names.ts";
import { publishedTables } from "./pipeline-state.ts";

/** One database, or the log, and what would go there. */
interface Removal {
  readonly where: string;
  readonly what: readonly string[];
  remove(): Promise<void>;
}

/**
 * `decommission FILE`: shows what the pipeline has made, asks, and removes it; target tables and their rows stay. A run
 * that is still alive loses its writer first, and ends with `log.fenced`. What is gone already is no error, so that a
 * decommission that was cut off can be repeated.
 */
export async function decommissionCommand(context: CommandContext): Promise<number> {
  const { invocation, output, signal } = context;
  await using resources = new AsyncDisposableStack();
  const removals = await plan(context, resources);
  const found = removals.filter(({ what }) => what.length > 0);
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
  for (const removal of found) await removal.remove();
  output.say("Removed. The next `run` begins afresh.");
  output.record("result", { removed: true });
  return 0;
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

/** In the order of removal: sources first, so that nothing new arrives; then the log; then the targets. */
async function plan(
  { pipeline, logger, signal }: CommandContext,
  resources: AsyncDisposableStack,
): Promise<readonly Removal[]> {
  const log = existsSync(pipeline.log.directory) ? resources.use(await openLog(pipeline, logger)) : null;
  const removals: Removal[] = [];
  for (const endpoint of usedSources(pipeline)) {
    const source = resources.use(openSource(pipeline, endpoint, logger));
    removals.push({
      where: `source ${endpoint.id}`,
      what: await source.decommission(false, signal),
      remove: async () => {
        await fence(log, captureId(pipeline, endpoint.id), signal);
        await source.decommission(true, signal);
      },
    });
  }
  if (log !== null) removals.push(await logRemoval(pipeline, log, signal));
  for (const task of pipeline.tasks) {
    for (const target of task.to) {
      const sink = resources.use(openSink(pipeline, task, target, logger));
      const delivery = deliveryId(pipeline, task.id, target);
      removals.push({
        where: `target ${target}, task ${task.id}`,
        what: await sink.decommission(delivery, false, signal),
        remove: async () => {
          await sink.decommission(delivery, true, signal);
        },
      });
    }
  }
  return removals;
}

/** Takes the writer away from a process that may still run: it cannot append to what is being removed. */
async function fence(log: EventLog | null, capture: string, signal: AbortSignal): Promise<void> {
  if (log === null) return;
  const writer = await log.openWriter(capture, signal);
  await writer[Symbol.asyncDispose]();
}

async function logRemoval(pipeline: Pipeline, log: EventLog, signal: AbortSignal): Promise<Removal> {
  const topics: string[] = [];
  for (const { id } of usedSources(pipeline)) {
    const capture = captureId(pipeline, id);
    const published = await publishedTables(log, pipeline, id, signal);
    topics.push(...published.map(({ topic }) => topic), positionTopic(capture), stateTopic(capture));
  }
  const existing: string[] = [];
  for (const topic of new Set(topics)) {
    if ((await log.topic(topic, signal)) !== null) existing.push(topic);
  }
  const groups = pipeline.tasks.flatMap((task) => task.to.map((target) => deliveryId(pipeline, task.id, target)));
  return {
    where: `event log ${pipeline.log.directory}`,
    what: existing.map((topic) => `topic ${topic}`),
    remove: async () => {
      for (const group of groups) await log.removeGroup(group, signal);
      // The state, from which the other topics are known, goes with the last call.
      await log.deleteTopics(existing, signal);
    },
  };
}
