import type { EventLog, Sink } from "@datatrace/core";

/** `log` is null when it is gone: what is left in the target still goes. */
export interface LeftDelivery {
  readonly delivery: string;
  readonly sink: Pick<Sink, "decommission">;
  readonly log: Pick<EventLog, "groupProgress" | "removeGroup"> | null;
}

/**
 * What a delivery that does not run has left in the target and in the log, in words, empty when there is nothing; removes
 * it when `apply`. Target tables and their rows stay. One that was cut off can be done again: it finds the rest (I7).
 * @throws DataTraceError `log.group_in_use` while the delivery runs: then nothing is removed.
 */
export async function decommissionDelivery(
  { delivery, sink, log }: LeftDelivery,
  apply: boolean,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const isKept = log !== null && (await log.groupProgress(delivery, signal)).length > 0;
  // The log first: it knows whether somebody still delivers, who would make anew what the target loses.
  if (apply) await log?.removeGroup(delivery, signal);
  const told = await sink.decommission(delivery, apply, signal);
  return isKept ? [...told, `group ${delivery} of the event log, which keeps records for it`] : told;
}
