import { DataTraceError } from "@datatrace/core";
import type {
  EventLog,
  GroupProgress,
  LogBounds,
  LogReader,
  LogWriter,
  RecordsRead,
  StoredRecord,
  TopicIdentity,
  TopicPartition,
  TopicSpec,
} from "@datatrace/core";

import { Cluster } from "./cluster.ts";
import { readCommitted } from "./committed-offsets.ts";
import { ControlTopic } from "./control-topic.ts";
import { GroupRegistrations } from "./group-registrations.ts";
import { settingsOf } from "./kafka-options.ts";
import type { KafkaEventLogOptions, KafkaSettings } from "./kafka-options.ts";
import { KafkaReader } from "./kafka-reader.ts";
import { KafkaWriter } from "./kafka-writer.ts";
import { latestRecords } from "./latest-records.ts";
import { placeName, readBounds } from "./offsets.ts";
import { readAt } from "./partition-scan.ts";
import { Retention } from "./retention.ts";
import { RetentionTimer } from "./retention-timer.ts";
import { SpaceLimit } from "./space-limit.ts";
import { readStatistics } from "./statistics.ts";
import type { LogStatistics } from "./statistics.ts";
import { TopicDirectory } from "./topic-directory.ts";
import { deleteGroup } from "./group-removal.ts";

/**
 * Opens the event log on a Kafka cluster, and makes its own two topics when they are not there.
 * @throws DataTraceError `log.connection_lost`, `log.login_failed`, `log.grant_missing`.
 */
export async function openKafkaEventLog(options: KafkaEventLogOptions, signal?: AbortSignal): Promise<KafkaEventLog> {
  const settings = settingsOf(options);
  const cluster = new Cluster(settings);
  const topics = new ControlTopic(cluster, `${settings.controlPrefix}.topics`);
  const groups = new ControlTopic(cluster, `${settings.controlPrefix}.groups`);
  try {
    await topics.ensure(signal);
    await groups.ensure(signal);
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  return new KafkaEventLog(settings, cluster, topics, groups);
}

/** Topics and groups on Kafka, with the guarantees of the log's contract. */
export class KafkaEventLog implements EventLog {
  readonly #settings: KafkaSettings;
  /** For everything but writers and readers, which have connections of their own. */
  readonly #cluster: Cluster;
  readonly #directory: TopicDirectory;
  readonly #registrations: GroupRegistrations;
  readonly #retention: Retention;
  readonly #timer: RetentionTimer;
  readonly #space: SpaceLimit | null;
  readonly #own: ReadonlySet<string>;
  readonly #readers = new Set<KafkaReader>();
  readonly #writers = new Set<KafkaWriter>();
  /** Whether a topic is a data topic; asked once of each, which is enough: a topic never changes that. */
  readonly #data = new Map<string, boolean>();
  #closed = false;

  /** Use `openKafkaEventLog`. */
  constructor(settings: KafkaSettings, cluster: Cluster, topics: ControlTopic, groups: ControlTopic) {
    this.#settings = settings;
    this.#cluster = cluster;
    this.#own = new Set([topics.name, groups.name]);
    this.#directory = new TopicDirectory(cluster, topics);
    this.#registrations = new GroupRegistrations(groups);
    const isData = (topic: string, signal?: AbortSignal): Promise<boolean> => this.#isData(topic, signal);
    this.#retention = new Retention(cluster, this.#registrations, isData);
    this.#timer = new RetentionTimer(this.#retention, settings.retentionIntervalMs, settings.logger);
    const { maxSizeBytes } = settings;
    this.#space = maxSizeBytes === null ? null : new SpaceLimit(cluster, maxSizeBytes, isData);
  }

  async ensureTopic(spec: TopicSpec, signal?: AbortSignal): Promise<TopicIdentity> {
    return await this.#directory.ensure(spec, signal);
  }

  async topic(name: string, signal?: AbortSignal): Promise<TopicIdentity | null> {
    return await this.#directory.find(name, signal);
  }

  async topics(prefix: string, signal?: AbortSignal): Promise<readonly string[]> {
    return await this.#directory.list(prefix, this.#own, signal);
  }

  async openWriter(id: string, signal?: AbortSignal): Promise<LogWriter> {
    this.#demandOpen();
    // It gives up before the broker does, which would look as if somebody else had taken the writer over.
    const patienceMs = Math.min(this.#settings.patienceMs, this.#settings.transactionTimeoutMs / 2);
    const writer = await KafkaWriter.open(new Cluster({ ...this.#settings, patienceMs }), id, this.#space, signal);
    if (this.#closed) {
      await writer[Symbol.asyncDispose]();
      throw new DataTraceError("log.closed");
    }
    this.#writers.add(writer);
    writer.whenClosed(() => this.#writers.delete(writer));
    return writer;
  }

  async registerGroup(group: string, topics: readonly string[], signal?: AbortSignal): Promise<void> {
    await this.#registrations.replace(group, topics, signal);
  }

  async removeGroup(group: string, signal?: AbortSignal): Promise<void> {
    // In this order: a removal that is cut off in between finds the group again by its registration (I7).
    await deleteGroup(this.#cluster, group, signal);
    await this.#registrations.removeGroup(group, signal);
  }

  async groupProgress(group: string, signal?: AbortSignal): Promise<readonly GroupProgress[]> {
    const own = await this.#registrations.of(group, signal);
    const stamps = new Map(own.map(({ topic, stamp }) => [topic, stamp]));
    if (stamps.size === 0) return [];
    const found = await this.#cluster.persist(() => this.#cluster.refresh([...stamps.keys()]), signal);
    const places = found
      .filter(({ name }) => stamps.has(name))
      .toSorted((one, other) => (one.name < other.name ? -1 : 1))
      .flatMap(({ name, leaders }) => leaders.map((_, partition) => ({ topic: name, partition })));
    // In this order: an end that is read after a commit is never below it.
    const committed = await readCommitted(this.#cluster, group, places, signal);
    const bounds = await readBounds(this.#cluster, places, signal);
    return places.map((place): GroupProgress => {
      const commit = committed.get(placeName(place));
      const next = commit !== undefined && commit.stamp === stamps.get(place.topic) ? commit.next : null;
      return { ...place, ...(bounds.get(placeName(place)) ?? { earliest: 0n, end: 0n }), next };
    });
  }

  async openReader(group: string, topics: readonly string[], signal?: AbortSignal): Promise<LogReader> {
    this.#demandOpen();
    await this.#registrations.add(group, topics, signal);
    this.#demandOpen();
    const reader = new KafkaReader(new Cluster(this.#settings), this.#cluster, group, topics, this.#registrations);
    this.#readers.add(reader);
    reader.whenClosed(() => this.#readers.delete(reader));
    return reader;
  }

  async latestByKey(topic: string, signal?: AbortSignal): Promise<readonly StoredRecord[]> {
    return await latestRecords(this.#cluster, topic, signal);
  }

  async bounds({ topic, partition }: TopicPartition, signal?: AbortSignal): Promise<LogBounds> {
    const place = { topic, partition };
    const bounds = (await readBounds(this.#cluster, [place], signal)).get(placeName(place));
    if (bounds === undefined) throw new DataTraceError("log.topic_unknown", { detail: place });
    return bounds;
  }

  /**
   * What is committed at an offset now, for tools: it joins no group, and retention does not know of it.
   * @throws DataTraceError `log.topic_unknown`, `log.out_of_range`.
   */
  async read(place: TopicPartition, from: bigint, signal?: AbortSignal): Promise<RecordsRead> {
    return await readAt(this.#cluster, place, from, signal);
  }

  async deleteTopics(names: readonly string[], signal?: AbortSignal): Promise<void> {
    await this.#directory.remove(names, signal);
    await this.#registrations.renew(names, signal);
    for (const name of names) this.#data.delete(name);
  }

  /** Sizes and counts of the topics that start with `prefix`, for status and metrics. */
  async statistics(prefix = "", signal?: AbortSignal): Promise<LogStatistics> {
    return await readStatistics(this.#cluster, this.#directory, await this.topics(prefix, signal), signal);
  }

  /** Deletes at once all that may be deleted, instead of bit by bit in the background. */
  async reclaim(signal?: AbortSignal): Promise<void> {
    await this.#retention.run(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const closed = new DataTraceError("log.closed");
    for (const reader of this.#readers) reader.lose(closed);
    await this.#timer[Symbol.asyncDispose]();
    await Promise.all([...this.#readers].map((reader) => reader[Symbol.asyncDispose]()));
    await Promise.all([...this.#writers].map((writer) => writer[Symbol.asyncDispose]()));
    await this.#cluster[Symbol.asyncDispose]();
  }

  #demandOpen(): void {
    if (this.#closed) throw new DataTraceError("log.closed");
  }

  async #isData(topic: string, signal: AbortSignal | undefined): Promise<boolean> {
    const known = this.#data.get(topic);
    if (known !== undefined) return known;
    const identity = await this.#directory.find(topic, signal);
    if (identity === null) return false;
    this.#data.set(topic, identity.cleanup === "delete");
    return identity.cleanup === "delete";
  }
}
