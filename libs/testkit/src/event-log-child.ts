import { DataTraceError, invariant } from "@datatrace/core";
import type { LogRecord, LogWriter, TopicPartition } from "@datatrace/core";
import type { ChildOrder, ChildReport } from "./event-log-process.ts";
import type { OpenEventLog } from "./event-log-harness.ts";

// The program of `EventLogProcess`: opens the log that the arguments name and obeys its parent.

const [, , module, parameters] = process.argv;
invariant(module !== undefined && parameters !== undefined, "the child knows which log to open");
const { openEventLog } = (await import(module)) as { openEventLog: OpenEventLog };
const log = await openEventLog(parameters);
const writers = new Map<string, LogWriter>();

function report(message: ChildReport): void {
  process.send?.(message);
}

function text(bytes: Uint8Array | null): string {
  return bytes === null ? "" : Buffer.from(bytes).toString("utf8");
}

async function read(group: string, topics: readonly string[]): Promise<void> {
  const reader = await log.openReader(group, topics);
  for (;;) {
    for (const event of await reader.poll(new AbortController().signal)) {
      if (event.kind === "batch") {
        const { topic, partition, records } = event;
        report({ kind: "records", topic, partition, values: records.map((record) => text(record.value)) });
        continue;
      }
      if (event.kind === "assigned") await Promise.all(event.partitions.map(start));
      report({ kind: event.kind, partitions: event.partitions });
    }
  }

  async function start(partition: TopicPartition): Promise<void> {
    reader.seek(partition, (await log.bounds(partition)).earliest);
  }
}

/** Appends numbered rounds without end: `width` records in each of two topics that say the round, and one position. */
async function flood(writer: string, topics: readonly string[], width: number, first: number): Promise<void> {
  const own = await log.openWriter(writer);
  for (let round = first; ; round += 1) {
    const value = Buffer.from(String(round));
    const records = topics.flatMap((topic): LogRecord[] =>
      Array.from({ length: width }, (_, index) => ({ topic, partition: index % 2, key: null, value })),
    );
    await own.append(records);
    report({ kind: "flooded", round });
  }
}

async function obey(order: ChildOrder): Promise<unknown> {
  switch (order.do) {
    case "open_writer":
      writers.set(order.writer, await log.openWriter(order.writer));
      return null;
    case "append": {
      const writer = writers.get(order.writer);
      invariant(writer !== undefined, "the child has opened the writer");
      return await writer.append(order.records);
    }
    case "read":
      await read(order.group, order.topics);
      return null;
    case "flood":
      await flood(order.writer, order.topics, order.width, order.first);
      return null;
    case "close":
      await log[Symbol.asyncDispose]();
      return null;
  }
}

process.on("message", (order: ChildOrder) => {
  obey(order).then(
    (answer) => report({ kind: "done", id: order.id, answer }),
    (error: unknown) =>
      report({ kind: "failed", id: order.id, code: error instanceof DataTraceError ? error.code : String(error) }),
  );
});
process.on("disconnect", () => process.exit(1));
report({ kind: "ready" });
