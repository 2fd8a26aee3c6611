import type {
  EventLog,
  GroupProgress,
  LogBounds,
  LogReader,
  LogWriter,
  StoredRecord,
  TopicIdentity,
  TopicPartition,
  TopicSpec,
} from "@datatrace/core";

/**
 * The log as a capture sees it: before a data topic is made, every delivery that will want it is registered for it. So
 * retention keeps its records for all of them, also for one whose process has not started yet.
 */
export class RegisteringLog implements EventLog {
  readonly #log: EventLog;
  readonly #groupsOf: (topic: string) => readonly string[];
  readonly #registered = new Map<string, Set<string>>();

  /** `groupsOf` answers the groups of the deliveries that want this data topic. */
  constructor(log: EventLog, groupsOf: (topic: string) => readonly string[]) {
    this.#log = log;
    this.#groupsOf = groupsOf;
  }

  async ensureTopic(spec: TopicSpec, signal?: AbortSignal): Promise<TopicIdentity> {
    for (const group of this.#groupsOf(spec.name)) await this.#register(group, spec.name, signal);
    return await this.#log.ensureTopic(spec, signal);
  }

  async #register(group: string, topic: string, signal?: AbortSignal): Promise<void> {
    let topics = this.#registered.get(group);
    if (topics === undefined) {
      // `registerGroup` replaces what was there: what earlier runs have registered stays.
      const known = await this.#log.groupProgress(group, signal);
      topics = new Set(known.map((one) => one.topic));
      this.#registered.set(group, topics);
    }
    if (topics.has(topic)) return;
    topics.add(topic);
    await this.#log.registerGroup(group, [...topics], signal);
  }

  async topic(name: string, signal?: AbortSignal): Promise<TopicIdentity | null> {
    return await this.#log.topic(name, signal);
  }

  async topics(prefix: string, signal?: AbortSignal): Promise<readonly string[]> {
    return await this.#log.topics(prefix, signal);
  }

  async openWriter(id: string, signal?: AbortSignal): Promise<LogWriter> {
    return await this.#log.openWriter(id, signal);
  }

  async registerGroup(group: string, topics: readonly string[], signal?: AbortSignal): Promise<void> {
    await this.#log.registerGroup(group, topics, signal);
  }

  async removeGroup(group: string, signal?: AbortSignal): Promise<void> {
    await this.#log.removeGroup(group, signal);
  }

  async groupProgress(group: string, signal?: AbortSignal): Promise<readonly GroupProgress[]> {
    return await this.#log.groupProgress(group, signal);
  }

  async openReader(group: string, topics: readonly string[], signal?: AbortSignal): Promise<LogReader> {
    return await this.#log.openReader(group, topics, signal);
  }

  async latestByKey(topic: string, signal?: AbortSignal): Promise<readonly StoredRecord[]> {
    return await this.#log.latestByKey(topic, signal);
  }

  async bounds(partition: TopicPartition, signal?: AbortSignal): Promise<LogBounds> {
    return await this.#log.bounds(partition, signal);
  }

  async deleteTopics(names: readonly string[], signal?: AbortSignal): Promise<void> {
    await this.#log.deleteTopics(names, signal);
  }

  /** The log belongs to whoever opened it. */
  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing of its own.
  }
}
