import { setTimeout as delay } from "node:timers/promises";
import { createEventDecoder } from "@datatrace/avro";
import type { EventDecoder } from "@datatrace/avro";
import { DataTraceError, invariant, tableId } from "@datatrace/core";
import type { PublishedTable, StoredRecord } from "@datatrace/core";
import { didYouMean } from "@datatrace/runtime";
import type { CommandContext } from "./command-context.ts";
import { eventLine } from "./event-line.ts";
import { lastRecords } from "./log-records.ts";
import { usedSources } from "./open-connectors.ts";
import { openExistingLog } from "./open-log.ts";
import type { OpenedLog } from "./open-log.ts";
import { publishedTables } from "./pipeline-state.ts";

const usualCount = 10;
const lookMs = 200;

/**
 * `tail FILE TABLE`: the newest events of a table as JSON lines, decoded, and with `--follow` those that come. Reads
 * without a group. Cell values are printed here, and only here, because the user asks for them (I8).
 */
export async function tailCommand(context: CommandContext): Promise<number> {
  const { pipeline, invocation, logger, signal } = context;
  await using log = await openExistingLog(pipeline, logger, signal);
  const table = await findTable(context, log);
  // Without a log no table is found.
  invariant(log !== null, "a table that was found is in a log");
  const tail = new Tail(log, table, context);
  await tail.last(invocation.last ?? usualCount, signal);
  if (invocation.follow) await tail.follow(signal);
  return 0;
}

/** By its name in the source; `SOURCE: schema.table` where two sources have one. */
async function findTable(
  { pipeline, invocation, signal }: CommandContext,
  log: OpenedLog | null,
): Promise<PublishedTable> {
  const found: { readonly name: string; readonly published: PublishedTable }[] = [];
  for (const { id } of usedSources(pipeline)) {
    const tables = log === null ? [] : await publishedTables(log, pipeline, id, signal);
    for (const published of tables) {
      const name = tableId(published.table);
      found.push({ name, published }, { name: `${id}: ${name}`, published });
    }
  }
  const match = found.find(({ name }) => name === invocation.table);
  if (match !== undefined) return match.published;
  const near = didYouMean(
    invocation.table,
    found.map(({ name }) => name),
  );
  throw new DataTraceError("config.usage", {
    message: `The log has no table of this name${near || "."}`,
    fix: "Name it as the source does, `schema.table`; `topics FILE` lists what there is.",
  });
}

/** Where a tail is in one table's topic, partition by partition. */
class Tail {
  readonly #log: OpenedLog;
  readonly #table: PublishedTable;
  readonly #context: CommandContext;
  readonly #decoder: EventDecoder;
  readonly #next = new Map<number, bigint>();

  constructor(log: OpenedLog, table: PublishedTable, context: CommandContext) {
    this.#log = log;
    this.#table = table;
    this.#context = context;
    this.#decoder = createEventDecoder(log.registry, { withBefore: true });
  }

  /** The last `count` of each partition: order is kept within one alone. */
  async last(count: number, signal: AbortSignal): Promise<void> {
    const { topic, partitions } = this.#table;
    for (let partition = 0; partition < partitions; partition++) {
      const { records, next } = await lastRecords(this.#log, { topic, partition }, count, signal);
      this.#next.set(partition, next);
      await this.#print(partition, records, signal);
    }
  }

  /** Until the signal. */
  async follow(signal: AbortSignal): Promise<void> {
    // A reader that has gone away (`| head`) wants no more.
    while (this.#context.output.streams.stdout.writable) {
      let news = false;
      for (const [partition, from] of this.#next) {
        const place = { topic: this.#table.topic, partition };
        const { records, next } = await this.#log.read(place, from, signal);
        this.#next.set(partition, next);
        if (next !== from) news = true;
        await this.#print(partition, records, signal);
      }
      if (!news) await delay(lookMs, undefined, { signal });
    }
  }

  async #print(partition: number, records: readonly StoredRecord[], signal: AbortSignal): Promise<void> {
    const place = { topic: this.#table.topic, partition };
    for (const record of records) {
      const event = await this.#decoder.decode(record, place, signal);
      this.#context.output.line(eventLine(event, record, place));
    }
  }
}
