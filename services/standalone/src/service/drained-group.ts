import type { EventLog, LogReader } from "@datatrace/core";

const lookMs = 500;

/**
 * Does the work while this process has every partition of a group: then every other member has stopped, or has been
 * given up. A delivery's offsets must not go while another replica applies: it would begin again at the first record,
 * and the target's rows would go back (I2).
 */
export async function whileDrained(
  log: EventLog,
  group: string,
  work: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const topics = new Set((await log.groupProgress(group, signal)).map(({ topic }) => topic));
  if (topics.size === 0) {
    await work();
    return;
  }
  await using reader = await log.openReader(group, [...topics], signal);
  await holdAll(log, group, reader, signal);
  await work();
}

async function holdAll(log: EventLog, group: string, reader: LogReader, signal: AbortSignal): Promise<void> {
  const held = new Set<string>();
  for (;;) {
    // Looked up each time: topics may go meanwhile.
    const wanted = await log.groupProgress(group, signal);
    if (held.size > 0 || wanted.length === 0) {
      if (wanted.every(({ topic, partition }) => held.has(`${topic}/${partition}`))) return;
    }
    const soon = AbortSignal.timeout(lookMs);
    try {
      for (const event of await reader.poll(AbortSignal.any([signal, soon]))) {
        if (event.kind === "batch") continue;
        for (const { topic, partition } of event.partitions) {
          if (event.kind === "assigned") held.add(`${topic}/${partition}`);
          else held.delete(`${topic}/${partition}`);
        }
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!soon.aborted) throw error;
    }
  }
}
