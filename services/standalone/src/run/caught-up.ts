import { setTimeout as delay } from "node:timers/promises";
import type { EndAddress } from "@datatrace/capture";
import { DataTraceError } from "@datatrace/core";
import type { Health } from "@datatrace/runtime";
import type { CapturePart } from "./capture-part.ts";
import type { DeliveryPart } from "./delivery-part.ts";
import { lastOffset } from "../log-records.ts";
import type { OpenedLog } from "../open-log.ts";
import type { Output } from "../output.ts";
import { publishedTables, tablesOfTask } from "../pipeline-state.ts";
import type { CommandContext } from "../command-context.ts";
import { countText } from "../text-table.ts";

export interface DeliveredParts {
  readonly captures: readonly CapturePart[];
  readonly deliveries: readonly DeliveryPart[];
  readonly log: OpenedLog;
  readonly health: Health;
}

const watchMs = 500;

/**
 * Waits until everything that was committed when the command started is delivered, and the targets have its offsets
 * stored. Answers what says the result, and answers the exit code: 1 when a table has stopped, or a row was not applied.
 * @throws DataTraceError when a part has been retrying for longer than the grace: somebody waits for this to end.
 */
export async function deliverEverything(
  run: CommandContext,
  parts: DeliveredParts,
  signal: AbortSignal,
): Promise<() => number> {
  const over = new AbortController();
  try {
    const both = AbortSignal.any([signal, over.signal]);
    return await Promise.race([deliver(run, parts, both), giveUpWhenStuck(parts.health, both)]);
  } finally {
    over.abort();
  }
}

async function deliver(
  { pipeline, output }: CommandContext,
  parts: DeliveredParts,
  signal: AbortSignal,
): Promise<() => number> {
  const { captures, deliveries, log } = parts;
  const ends = new Map(
    await Promise.all(captures.map(async (part) => [part.endpoint.id, await part.caughtUp(signal)] as const)),
  );
  if (deliveries.length === 0) return () => sayResult(output, parts, 0);
  let verified = 0;
  for (const part of deliveries) {
    // Without a capture in this process, what counts is what the log holds now.
    const published = tablesOfTask(part.task, await publishedTables(log, pipeline, part.task.from, signal));
    const topics = new Map(published.map((table) => [table.topic, table.partitions]));
    const mine = (ends.get(part.task.from) ?? (await endsOfLog(log, topics, signal))).filter(({ topic }) =>
      topics.has(topic),
    );
    verified += await verifyStored(part, await part.appliedThrough(mine, signal), signal);
  }
  return () => sayResult(output, parts, verified);
}

/** The last record of each partition, which is reached by applying it: what comes behind it on Kafka is never delivered. */
async function endsOfLog(
  log: OpenedLog,
  topics: ReadonlyMap<string, number>,
  signal: AbortSignal,
): Promise<readonly EndAddress[]> {
  const ends: EndAddress[] = [];
  for (const [topic, partitions] of topics) {
    for (let partition = 0; partition < partitions; partition++) {
      const last = await lastOffset(log, { topic, partition }, signal);
      if (last !== null) ends.push({ topic, partition, last });
    }
  }
  return ends;
}

/** Asks the target itself, not the process that applied. Answers how many partitions were compared. */
async function verifyStored(part: DeliveryPart, ends: readonly EndAddress[], signal: AbortSignal): Promise<number> {
  const stored = new Map((await part.progress(signal)).map((one) => [`${one.topic}/${one.partition}`, one.next]));
  for (const { topic, partition, last } of ends) {
    const next = stored.get(`${topic}/${partition}`);
    if (next === undefined || next <= last) {
      throw new DataTraceError("internal.bug", {
        message: "The target has not stored an offset that was reported as applied.",
        detail: { topic, partition, last: String(last), stored: String(next) },
      });
    }
  }
  return ends.length;
}

async function giveUpWhenStuck(health: Health, signal: AbortSignal): Promise<never> {
  for (;;) {
    await delay(watchMs, undefined, { signal });
    const stuck = health.stuck();
    if (stuck?.error) {
      const { code, message, fix } = stuck.error;
      throw new DataTraceError(code, { message: `${stuck.part}: ${message}`, fix });
    }
  }
}

/** What has kept a table or a row from being delivered makes the result a failure, and is said again at the end. */
function sayResult(output: Output, { captures, deliveries }: DeliveredParts, partitions: number): number {
  const tables = captures.flatMap(({ capture }) => capture.status().tables);
  const stopped = [
    ...tables.flatMap(({ table, error }) => (error === null ? [] : [{ at: table, ...error }])),
    ...deliveries.flatMap((part) => part.stoppedTables()),
  ];
  for (const { at, code, message, fix } of stopped) output.notice({ severity: "error", code, message, fix, at });
  const parkedRows = deliveries.reduce((sum, part) => sum + part.unappliedRows(), 0);
  const ok = stopped.length === 0 && parkedRows === 0;
  if (parkedRows > 0) {
    const message = `${countText(parkedRows)} rows were not applied: they are in the target's quarantine.`;
    output.notice({
      severity: "error",
      code: "sink.row_rejected",
      message,
      fix: "See `status`, and the table _datatrace_quarantine in the target.",
    });
  }
  const applied = deliveries.reduce((sum, part) => sum + Number(part.status().rowsApplied), 0);
  output.say(
    deliveries.length === 0
      ? "Caught up: everything that was committed is in the event log."
      : `Caught up: ${countText(applied)} rows applied, the offsets of ${countText(partitions)} partitions verified in the targets.`,
  );
  output.record("result", {
    caughtUp: true,
    ok,
    rowsApplied: applied,
    partitionsVerified: partitions,
    stopped: stopped.length,
    quarantinedRows: parkedRows,
  });
  return ok ? 0 : 1;
}
