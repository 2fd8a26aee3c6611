import type { AppendedRange, EventLog, LogReader, ReaderEvent, StoredRecord, TopicPartition } from "@datatrace/core";

/** How long a case waits for what must happen. */
export const patienceMs = 30_000;

/** A record with its bytes copied, as text, so that cases can compare it. */
export interface SeenRecord extends TopicPartition {
  readonly offset: bigint;
  readonly key: string | null;
  readonly value: string | null;
}

/**
 * Drives a reader as a sink would: seeks what is assigned, and keeps all that it was given. A partition that comes back,
 * as to a member that a busy machine has kept from giving signs of life, goes on where it was. Checks at each batch what
 * the port promises: only partitions that are assigned, offsets that rise, `next` past the last record.
 */
export class Probe implements AsyncDisposable {
  readonly reader: LogReader;
  readonly #log: EventLog;
  readonly #startAt: (partition: TopicPartition) => bigint | null | Promise<bigint | null>;
  readonly #held = new Map<string, TopicPartition>();
  readonly #next = new Map<string, bigint>();
  /** Of the topics that were assigned: an offset of another epoch means nothing. */
  readonly #epochs = new Map<string, number | null>();
  readonly seen: SeenRecord[] = [];
  readonly records: StoredRecord[] = [];

  private constructor(
    log: EventLog,
    reader: LogReader,
    startAt: (partition: TopicPartition) => bigint | null | Promise<bigint | null>,
  ) {
    this.#log = log;
    this.reader = reader;
    this.#startAt = startAt;
  }

  /** `startAt` says where an assigned partition begins: null does not seek it. Left out: at its earliest record. */
  static async open(
    log: EventLog,
    group: string,
    topics: readonly string[],
    startAt?: (partition: TopicPartition) => bigint | null,
  ): Promise<Probe> {
    const reader = await log.openReader(group, topics);
    return new Probe(log, reader, startAt ?? (async (partition) => (await log.bounds(partition)).earliest));
  }

  /** Partitions that are assigned now, as `topic/partition`. */
  get held(): ReadonlySet<string> {
    return new Set(this.#held.keys());
  }

  /** Values in the order of arrival, of one topic or partition or of all. */
  values(of?: string | TopicPartition): (string | null)[] {
    return this.seen
      .filter((record) =>
        typeof of === "string"
          ? record.topic === of
          : of === undefined || (record.topic === of.topic && record.partition === of.partition),
      )
      .map((record) => record.value);
  }

  /** Where the partition goes on. */
  nextOf(partition: TopicPartition): bigint | undefined {
    return this.#next.get(nameOf(partition));
  }

  /** Polls once; the reader's errors pass through. */
  async poll(signal: AbortSignal = AbortSignal.timeout(patienceMs)): Promise<readonly ReaderEvent[]> {
    const events = await this.reader.poll(signal);
    for (const event of events) await this.#take(event);
    return events;
  }

  /** Polls until the condition holds. @throws Error naming `what` when that takes too long. */
  async until(condition: () => boolean, what: string): Promise<void> {
    const endMs = performance.now() + patienceMs;
    while (!condition()) {
      if (performance.now() > endMs) throw new Error(`waited in vain for ${what}`);
      // Short, because the condition may come true without an event for this reader. An aborted poll loses nothing.
      const signal = AbortSignal.timeout(50);
      await this.poll(signal).catch((error: unknown) => {
        if (error !== signal.reason) throw error;
      });
    }
  }

  /** Polls as long as `meanwhile` runs, and returns its answer: for what needs this member to take part. */
  async during<T>(meanwhile: Promise<T>): Promise<T> {
    const over = new AbortController();
    const polling = (async () => {
      while (!over.signal.aborted) {
        await this.poll(over.signal).catch((error: unknown) => {
          if (!over.signal.aborted) throw error;
        });
      }
    })();
    try {
      return await meanwhile;
    } finally {
      over.abort();
      await polling;
    }
  }

  /** Reads on until it has everything up to these addresses: the ends of a log may hold offsets that no record has. */
  async through(ranges: readonly AppendedRange[]): Promise<void> {
    const passed = (range: AppendedRange): boolean => (this.nextOf(range) ?? 0n) > range.last;
    await this.until(() => ranges.every(passed), "the appended records");
  }

  seek(partition: TopicPartition, offset: bigint): void {
    this.#next.set(nameOf(partition), offset);
    this.reader.seek(partition, offset);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reader[Symbol.asyncDispose]();
  }

  async #take(event: ReaderEvent): Promise<void> {
    switch (event.kind) {
      case "assigned":
        for (const partition of event.partitions) {
          if (this.#held.has(nameOf(partition))) throw new Error("assigned twice without a revocation");
          this.#held.set(nameOf(partition), partition);
          await this.#demandEpoch(partition.topic);
          const offset = this.nextOf(partition) ?? (await this.#startAt(partition));
          if (offset !== null) this.seek(partition, offset);
        }
        break;
      case "revoked":
        for (const partition of event.partitions) {
          if (!this.#held.delete(nameOf(partition))) throw new Error("revoked what was not assigned");
        }
        break;
      case "batch":
        this.#keep(event);
        break;
    }
  }

  /** Forgets where it was in a topic that was made anew. */
  async #demandEpoch(topic: string): Promise<void> {
    const epoch = (await this.#log.topic(topic))?.epoch ?? null;
    if (this.#epochs.has(topic) && this.#epochs.get(topic) !== epoch) {
      for (const name of this.#next.keys()) if (name.startsWith(`${topic}/`)) this.#next.delete(name);
    }
    this.#epochs.set(topic, epoch);
  }

  #keep({ topic, partition, records, next }: Extract<ReaderEvent, { kind: "batch" }>): void {
    const name = nameOf({ topic, partition });
    let position = this.#next.get(name);
    if (position === undefined || !this.#held.has(name)) throw new Error("a batch of a partition that was not started");
    if (records.length === 0) throw new Error("a batch without records");
    for (const record of records) {
      if (record.offset < position) throw new Error(`offset ${record.offset} after ${position}`);
      position = record.offset + 1n;
      this.records.push(record);
      this.seen.push({
        topic,
        partition,
        offset: record.offset,
        key: record.key === null ? null : Buffer.from(record.key).toString("utf8"),
        value: record.value === null ? null : Buffer.from(record.value).toString("utf8"),
      });
    }
    if (next < position) throw new Error("next lies before the last record");
    this.#next.set(name, next);
  }
}

export function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
