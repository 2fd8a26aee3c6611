import { createEventDecoder, type EventDecoder, keyIdentity } from "@datatrace/avro";
import {
  DataTraceError,
  type EventLog,
  type Logger,
  parseRereadMessageKey,
  rereadsTopic,
  type SchemaRegistry,
  type StoredRecord,
} from "@datatrace/core";
import type { TableSet } from "./table-set.ts";

export interface RereadRequestsOptions {
  readonly log: EventLog;
  readonly registry: SchemaRegistry;
  readonly capture: string;
  readonly tables: TableSet;
  /** Called when there is a key to read. */
  readonly asked: () => void;
  readonly logger: Logger;
}

const partition = { topic: rereadsTopic, partition: 0 };

/** Name of a capture's group on the topic of requests. */
export function rereadGroup(capture: string): string {
  return `datatrace.capture.${capture}.rereads`;
}

/** Follows the requests of sinks for rows that they could not complete, and queues those of this capture's tables. */
export class RereadRequests {
  readonly #options: RereadRequestsOptions;
  readonly #decoder: EventDecoder;

  constructor(options: RereadRequestsOptions) {
    this.#options = options;
    this.#decoder = createEventDecoder(options.registry);
  }

  /** Runs until the signal. The requests that are open now come first, then those that arrive. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, capture } = this.#options;
    await log.ensureTopic({ name: rereadsTopic, partitions: 1, cleanup: "compact" }, signal);
    // Bounds first: a request between the two look-ups is seen twice, which does no harm.
    const { end } = await log.bounds(partition, signal);
    for (const record of await log.latestByKey(rereadsTopic, signal)) await this.#take(record, signal);
    await using reader = await log.openReader(rereadGroup(capture), [rereadsTopic], signal);
    for (let next = end; ;) {
      for (const event of await reader.poll(signal)) {
        if (event.kind === "assigned") for (const assigned of event.partitions) reader.seek(assigned, next);
        if (event.kind !== "batch") continue;
        for (const record of event.records) await this.#take(record, signal);
        next = event.next;
        await reader.commit(partition, next);
      }
    }
  }

  async #take(record: StoredRecord, signal: AbortSignal): Promise<void> {
    const { tables, asked, logger } = this.#options;
    const request = record.key === null ? null : parseRereadMessageKey(record.key);
    // A tombstone: the request was answered, most likely by us.
    if (record.key === null || record.value === null || request === null) return;
    const table = tables.ofTopic(request.topic);
    if (table === undefined || !table.publishes) return;
    try {
      const decoded = await this.#decoder.decode(
        { offset: record.offset, key: request.key, value: null, headers: {} },
        { topic: request.topic, partition: 0 },
        signal,
      );
      table.rereads.askFor(keyIdentity(request.key), decoded.key, Uint8Array.from(record.key));
      asked();
    } catch (error) {
      if (!(error instanceof DataTraceError) || error.retry === "timed") throw error;
      logger.warn("re-read request cannot be read", { table: table.id, code: error.code, offset: record.offset });
    }
  }
}
