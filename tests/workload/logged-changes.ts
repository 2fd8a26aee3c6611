import { createEventDecoder } from "@datatrace/avro";
import type { DecodedEvent } from "@datatrace/avro";
import { dataTopic, invariant } from "@datatrace/core";
import type { LogReader, TopicPartition } from "@datatrace/core";
import { openSqliteEventLog } from "@datatrace/event-log-sqlite";
import { workloadTables } from "./chaos-tables.ts";
import { keyText } from "./ledger.ts";
import type { LoggedChange } from "./log-audit.ts";

/** A group that never commits: while it is registered, the log keeps every record. */
const auditGroup = "audit";

function topicsOf(pipeline: string, schema: string): ReadonlyMap<string, string> {
  return new Map(workloadTables.map(({ name }) => [dataTopic(pipeline, { schema, table: name }), name]));
}

/** To be called before the pipeline first runs: from then on nothing is deleted from its log. */
export async function keepEverything(directory: string, pipeline: string, schema: string): Promise<void> {
  await using log = await openSqliteEventLog({ directory });
  await log.registerGroup(auditGroup, [...topicsOf(pipeline, schema).keys()]);
}

/** Every record of the workload's topics, each partition in offset order, up to what is there now. */
export async function* loggedChanges(
  directory: string,
  pipeline: string,
  schema: string,
  signal: AbortSignal,
): AsyncIterable<LoggedChange> {
  await using log = await openSqliteEventLog({ directory });
  const decoder = createEventDecoder(log.registry);
  const topics = topicsOf(pipeline, schema);
  const open = new Set<string>();
  for (const topic of topics.keys()) {
    const identity = await log.topic(topic, signal);
    for (let partition = 0; partition < (identity?.partitions ?? 0); partition += 1) {
      const bounds = await log.bounds({ topic, partition }, signal);
      invariant(bounds.earliest === 0n, "the audit's group kept every record");
      if (bounds.end > 0n) open.add(`${topic}/${partition}/${bounds.end}`);
    }
  }
  await using reader = await log.openReader(auditGroup, [...topics.keys()], signal);
  while (open.size > 0) {
    for (const event of await reader.poll(signal)) {
      if (event.kind === "assigned") seekAll(reader, event.partitions);
      if (event.kind !== "batch") continue;
      const table = topics.get(event.topic);
      invariant(table !== undefined, "only the topics asked for arrive");
      for (const record of event.records) {
        const decoded = await decoder.decode(record, event, signal);
        yield { table, partition: event.partition, offset: record.offset, ...changeOf(decoded) };
      }
      for (const id of open) {
        const [topic, partition, end] = id.split("/");
        if (topic === event.topic && Number(partition) === event.partition && event.next >= BigInt(end ?? 0))
          open.delete(id);
      }
    }
  }
}

function seekAll(reader: LogReader, partitions: readonly TopicPartition[]): void {
  for (const partition of partitions) reader.seek(partition, 0n);
}

const operations = { c: "insert", u: "update", d: "delete", r: "read" } as const;

/** What the audit looks at of an event. */
export function changeOf(event: DecodedEvent): Pick<LoggedChange, "key" | "op" | "chg" | "txId"> {
  const key = keyText(event.key);
  if (event.kind === "tombstone") return { key, op: "tombstone", chg: null, txId: null };
  const at = event.schema.columns.findIndex((column) => column.name === "chg");
  const op = operations[event.op];
  const chg = event.after?.[at];
  return {
    key,
    op,
    chg: chg === undefined || chg === null ? null : Number(chg),
    txId: op === "read" || event.txId === null ? null : Number(BigInt(event.txId) & 0xffffffffn),
  };
}
