import {
  type AppendedRange,
  DataTraceError,
  type ErrorCode,
  type EventLog,
  type GroupProgress,
  type LogBounds,
  type LogReader,
  type LogRecord,
  type LogWriter,
  type ReaderEvent,
  type SchemaRegistry,
  type StoredRecord,
  type TopicIdentity,
  type TopicPartition,
  type TopicSpec,
  sizeOfRecords,
} from "@datatrace/core";
import type { Interleaving } from "./interleaving.ts";
import type { SeededRandom } from "./seeded-random.ts";

interface ModelTopic {
  readonly spec: TopicSpec;
  readonly partitions: StoredRecord[][];
}

/** What an append may do instead of succeeding, with its chance. `log.commit_unknown` may have appended or not. */
export interface LogFailures {
  readonly codes: readonly ErrorCode[];
  readonly chance: number;
}

/** A log in memory whose appends fail as real ones do. Outlives the captures that crash over it. */
export class ModelLog implements EventLog, SchemaRegistry {
  readonly #topics = new Map<string, ModelTopic>();
  readonly #writers = new Map<string, number>();
  /** How often a topic of this name was made. */
  readonly #epochs = new Map<string, number>();
  readonly #schemas: string[] = [];
  readonly #interleaving: Interleaving;
  readonly #random: SeededRandom;
  readonly #failures: LogFailures;
  /** Somebody still reads with the group that is to be removed. */
  groupInUse = false;

  constructor(interleaving: Interleaving, random: SeededRandom, failures: LogFailures) {
    this.#interleaving = interleaving;
    this.#random = random;
    this.#failures = failures;
  }

  records(topic: string): readonly (readonly StoredRecord[])[] {
    return this.#topics.get(topic)?.partitions ?? [];
  }

  put(record: LogRecord): void {
    const { topic, partition, key, value, headers } = record;
    const records = this.#topics.get(topic)?.partitions[partition];
    if (records === undefined) throw new DataTraceError("log.topic_unknown", { detail: { topic } });
    records.push({ offset: BigInt(records.length), key, value, headers: headers ?? {} });
  }

  async ensureTopic(spec: TopicSpec): Promise<TopicIdentity> {
    const known = this.#topics.get(spec.name);
    if (known === undefined) {
      this.#epochs.set(spec.name, (this.#epochs.get(spec.name) ?? 0) + 1);
      this.#topics.set(spec.name, { spec, partitions: Array.from({ length: spec.partitions }, () => []) });
    } else if (known.spec.partitions !== spec.partitions) throw new DataTraceError("log.partitions_changed");
    return { ...spec, epoch: this.#epochs.get(spec.name) ?? 0 };
  }

  async topic(name: string): Promise<TopicIdentity | null> {
    const topic = this.#topics.get(name);
    return topic === undefined ? null : { ...topic.spec, epoch: this.#epochs.get(name) ?? 0 };
  }

  async topics(prefix: string): Promise<readonly string[]> {
    return [...this.#topics.keys()].filter((name) => name.startsWith(prefix)).toSorted();
  }

  async openWriter(id: string): Promise<LogWriter> {
    const epoch = (this.#writers.get(id) ?? 0) + 1;
    this.#writers.set(id, epoch);
    return {
      id,
      append: async (records) => await this.#append(id, epoch, records),
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  async #append(id: string, epoch: number, records: readonly LogRecord[]): Promise<readonly AppendedRange[]> {
    await this.#interleaving.step();
    const code = this.#random.chance(this.#failures.chance) ? this.#random.pick(this.#failures.codes) : null;
    if (this.#writers.get(id) !== epoch) throw new DataTraceError("log.fenced");
    if (code !== null && (code !== "log.commit_unknown" || this.#random.chance(0.5))) throw new DataTraceError(code);
    const ranges = new Map<string, AppendedRange>();
    for (const record of records) {
      this.put(record);
      const { topic, partition } = record;
      const last = BigInt((this.records(topic)[partition]?.length ?? 0) - 1);
      const name = `${topic}/${partition}`;
      ranges.set(name, { topic, partition, first: ranges.get(name)?.first ?? last, last });
    }
    await this.#interleaving.step();
    if (code !== null) throw new DataTraceError(code);
    return [...ranges.values()];
  }

  async registerGroup(): Promise<void> {
    // Nothing is ever deleted.
  }

  async removeGroup(group: string): Promise<void> {
    // Nothing is kept of groups.
    if (this.groupInUse) throw new DataTraceError("log.group_in_use", { detail: { group } });
  }

  async groupProgress(): Promise<readonly GroupProgress[]> {
    return [];
  }

  async openReader(_group: string, topics: readonly string[]): Promise<LogReader> {
    return new ModelReader(this, this.#interleaving, topics[0] ?? "");
  }

  async latestByKey(topic: string): Promise<readonly StoredRecord[]> {
    await this.#interleaving.step();
    const latest = new Map<string, StoredRecord>();
    for (const record of this.records(topic)[0] ?? []) {
      const key = new TextDecoder().decode(record.key ?? new Uint8Array());
      latest.delete(key);
      if (record.value !== null) latest.set(key, record);
    }
    return [...latest.values()];
  }

  async bounds({ topic, partition }: TopicPartition): Promise<LogBounds> {
    return { earliest: 0n, end: BigInt(this.records(topic)[partition]?.length ?? 0) };
  }

  async deleteTopics(names: readonly string[]): Promise<void> {
    for (const name of names) this.#topics.delete(name);
  }

  async register(_subject: string, schema: string, signal?: AbortSignal): Promise<number> {
    await this.#interleaving.step(signal);
    const known = this.#schemas.indexOf(schema);
    return known < 0 ? this.#schemas.push(schema) : known + 1;
  }

  async byId(id: number): Promise<string> {
    const schema = this.#schemas[id - 1];
    if (schema === undefined) throw new DataTraceError("registry.schema_unknown");
    return schema;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is held.
  }
}

class ModelReader implements LogReader {
  readonly #log: ModelLog;
  readonly #interleaving: Interleaving;
  readonly #topic: string;
  #assigned = false;
  #next = 0;

  constructor(log: ModelLog, interleaving: Interleaving, topic: string) {
    this.#log = log;
    this.#interleaving = interleaving;
    this.#topic = topic;
  }

  async poll(signal: AbortSignal): Promise<readonly ReaderEvent[]> {
    const at = { topic: this.#topic, partition: 0 };
    if (!this.#assigned) {
      this.#assigned = true;
      return [{ kind: "assigned", partitions: [at] }];
    }
    for (;;) {
      await this.#interleaving.step(signal);
      const records = (this.#log.records(this.#topic)[0] ?? []).slice(this.#next);
      if (records.length > 0) {
        this.#next += records.length;
        return [{ kind: "batch", ...at, records, next: BigInt(this.#next), sizeBytes: sizeOfRecords(records) }];
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  seek(_partition: TopicPartition, offset: bigint): void {
    this.#next = Number(offset);
  }

  pause(): void {
    // Never asked for.
  }

  resume(): void {
    // Never asked for.
  }

  async setTopics(): Promise<void> {
    // Never asked for.
  }

  async commit(): Promise<void> {
    // A hint only.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is held.
  }
}
