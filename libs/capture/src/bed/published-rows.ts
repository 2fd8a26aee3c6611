import { createEventDecoder, keyText } from "@datatrace/avro";
import { type EventLog, headers, type SchemaRegistry, UNCHANGED, type Value } from "@datatrace/core";
import { readTopic } from "./topic-reader.ts";

/** One event of a topic, as a test looks at it. */
export interface PublishedEvent {
  readonly op: "c" | "u" | "d" | "r" | "tombstone";
  /** `id=1`. */
  readonly key: string;
  /** By column name; null for a delete. */
  readonly cells: ReadonlyMap<string, Value> | null;
  readonly partial: boolean;
  readonly headers: Readonly<Record<string, string>>;
  readonly partition: number;
  readonly offset: bigint;
  readonly lsn: bigint | null;
}

/** Every event of a topic, each partition in its order. */
export async function publishedEvents(
  log: EventLog,
  registry: SchemaRegistry,
  topic: string,
): Promise<readonly PublishedEvent[]> {
  const decoder = createEventDecoder(registry);
  const events: PublishedEvent[] = [];
  let schema = null;
  for (const [partition, records] of (await readTopic(log, topic)).entries()) {
    for (const record of records) {
      const event = await decoder.decode(record, { topic, partition });
      const common = { headers: record.headers, partition, offset: record.offset };
      if (event.kind === "tombstone") {
        const key = events.at(-1)?.key ?? "";
        events.push({ ...common, op: "tombstone", key, cells: null, partial: false, lsn: null });
        continue;
      }
      schema = event.schema;
      const { after } = event;
      const names = schema.columns.map((column) => column.name);
      const row: Value[] = Array.from({ length: names.length }, () => null);
      for (const [at, index] of schema.key.entries()) row[index] = event.key[at] ?? null;
      events.push({
        ...common,
        op: event.op,
        key: keyText(schema, row),
        cells: after === null ? null : new Map(names.map((name, index) => [name, after[index] ?? null])),
        partial: record.headers[headers.unchanged] !== undefined,
        lsn: event.lsn === null ? null : BigInt(event.lsn),
      });
    }
  }
  return events;
}

/** The rows that a consumer has after the last event: full rows replace, partial ones fill from what was there. */
export function foldEvents(events: readonly PublishedEvent[]): Map<string, ReadonlyMap<string, Value>> {
  const rows = new Map<string, ReadonlyMap<string, Value>>();
  for (const { op, key, cells } of events) {
    if (op === "tombstone") continue;
    if (cells === null) {
      rows.delete(key);
      continue;
    }
    const base = op === "u" ? rows.get(key) : undefined;
    const filled = [...cells].map(
      ([name, value]) => [name, value === UNCHANGED ? (base?.get(name) ?? value) : value] as const,
    );
    rows.set(key, new Map(filled));
  }
  return rows;
}
