import { DataTraceError } from "@datatrace/core";
import type { TopicIdentity, TopicSpec } from "@datatrace/core";

import { codes, demandSuccess } from "./broker-error.ts";
import { Cluster } from "./cluster.ts";
import type { TopicMetadata } from "./cluster-metadata.ts";
import type { ControlTopic } from "./control-topic.ts";
import { KafkaWriter } from "./kafka-writer.ts";
import { pause } from "./pause.ts";
import { createTopic, removeTopics, replicasFor } from "./topic-creation.ts";
import { readSettings, verifySettings } from "./topic-settings.ts";

/** What the directory says of a topic. `deleting`: its records may be there still, and go before it is made again. */
interface Entry {
  readonly epoch: number;
  readonly partitions: number;
  readonly cleanup: TopicSpec["cleanup"];
  readonly state: "live" | "deleting" | "deleted";
}

const maxLostRaceMs = 50;
/** Of the directory's writer, which is quick: when it dies, nobody can read the directory until the broker has noticed. */
const transactionTimeoutMs = 10_000;
const raceCodes: ReadonlySet<string> = new Set(["log.fenced", "log.commit_unknown"]);

/**
 * Topics and their epochs. Kafka forgets a topic that was deleted, so which incarnation a name stands for is written to a
 * topic of our own (I2). Whoever changes something first takes over the one writer of that topic: of two that change
 * at once one is fenced before it has said anything, and looks again.
 */
export class TopicDirectory {
  readonly #cluster: Cluster;
  readonly #control: ControlTopic;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(cluster: Cluster, control: ControlTopic) {
    this.#cluster = cluster;
    this.#control = control;
  }

  async ensure(spec: TopicSpec, signal?: AbortSignal): Promise<TopicIdentity> {
    const entry = await this.#entry(spec.name, signal);
    const topic = await this.#metadata(spec.name, signal);
    if (topic !== undefined && entry?.state === "live") return await this.#verified(spec, topic, entry.epoch, signal);
    return await this.#alone((writer) => this.#make(spec, writer, signal), signal);
  }

  async find(name: string, signal?: AbortSignal): Promise<TopicIdentity | null> {
    const topic = await this.#metadata(name, signal);
    const entry = await this.#entry(name, signal);
    if (topic === undefined || (entry !== undefined && entry.state !== "live")) return null;
    const partitions = topic.leaders.length;
    if (entry !== undefined) return { name, partitions, cleanup: entry.cleanup, epoch: entry.epoch };
    // Of another producer: it has no epoch.
    const settings = await this.#cluster.persist(() => readSettings(this.#cluster, name), signal);
    const cleanup = settings.get("cleanup.policy") === "compact" ? "compact" : "delete";
    return { name, partitions, cleanup, epoch: 0 };
  }

  async list(prefix: string, hidden: ReadonlySet<string>, signal?: AbortSignal): Promise<readonly string[]> {
    const topics = await this.#cluster.persist(() => this.#cluster.refresh(null), signal);
    const entries = await this.#control.read(signal);
    return topics
      .map(({ name }) => name)
      .filter((name) => name.startsWith(prefix) && !name.startsWith("__") && !hidden.has(name))
      .filter((name) => (parse(entries.get(name))?.state ?? "live") === "live")
      .toSorted((one, other) => (one < other ? -1 : 1));
  }

  async remove(names: readonly string[], signal?: AbortSignal): Promise<void> {
    const wanted = new Set(names);
    const found = await this.#cluster.persist(() => this.#cluster.refresh([...wanted]), signal);
    const entries = await this.#control.read(signal);
    const gone = found.filter(({ name }) => wanted.has(name));
    const unfinished = [...wanted].filter((name) => parse(entries.get(name))?.state === "deleting");
    if (gone.length === 0 && unfinished.length === 0) return;
    await this.#alone(async (writer) => {
      const now = await this.#control.read(signal);
      const marked = [...new Set([...gone.map(({ name }) => name), ...unfinished])].map((name): [string, Entry] => [
        name,
        parse(now.get(name)) ?? { epoch: 0, partitions: 0, cleanup: "delete", state: "live" },
      ]);
      const write = async (state: Entry["state"]): Promise<void> => {
        const records = marked.map(([name, entry]) => this.#control.record(name, JSON.stringify({ ...entry, state })));
        await writer.append(records, signal);
      };
      await write("deleting");
      await this.#cluster.persist(
        () =>
          removeTopics(
            this.#cluster,
            marked.map(([name]) => name),
          ),
        signal,
      );
      await write("deleted");
    }, signal);
  }

  async #make(spec: TopicSpec, writer: KafkaWriter, signal: AbortSignal | undefined): Promise<TopicIdentity> {
    const entry = await this.#entry(spec.name, signal);
    let topic = await this.#metadata(spec.name, signal);
    if (topic !== undefined && entry?.state === "live") return await this.#verified(spec, topic, entry.epoch, signal);
    if (topic !== undefined && entry?.state === "deleting") {
      await this.#cluster.persist(() => removeTopics(this.#cluster, [spec.name]), signal);
      topic = undefined;
    }
    if (topic === undefined) {
      await this.#cluster.persist(() => createTopic(this.#cluster, spec), signal);
      topic = await this.#cluster.persist(async () => {
        const [made] = await this.#cluster.refresh([spec.name]);
        if (made === undefined || made.leaders.includes(-1)) demandSuccess("Metadata", codes.leaderNotAvailable);
        return made;
      }, signal);
    }
    if (topic === undefined) throw new DataTraceError("log.topic_unknown", { detail: { topic: spec.name } });
    // I2: an epoch only rises, whoever made the topic that is there.
    const epoch = (entry?.epoch ?? 0) + 1;
    const identity = await this.#verified(spec, topic, epoch, signal);
    const made: Entry = { epoch, partitions: spec.partitions, cleanup: spec.cleanup, state: "live" };
    await writer.append([this.#control.record(spec.name, JSON.stringify(made))], signal);
    return identity;
  }

  async #verified(
    spec: TopicSpec,
    topic: TopicMetadata,
    epoch: number,
    signal: AbortSignal | undefined,
  ): Promise<TopicIdentity> {
    const { name, partitions, cleanup } = spec;
    const is = topic.leaders.length;
    if (is !== partitions) {
      throw new DataTraceError("log.partitions_changed", {
        detail: { topic: name, partitions: is, needed: partitions },
      });
    }
    const settings = await this.#cluster.persist(() => readSettings(this.#cluster, name), signal);
    const replicas = await this.#cluster.persist(() => replicasFor(this.#cluster), signal);
    const { replicationFactor, topicRetentionMs } = this.#cluster.settings;
    if (replicationFactor !== null && topic.replicas < replicationFactor) {
      const detail = { topic: name, setting: "replication factor", is: topic.replicas, needed: replicationFactor };
      throw new DataTraceError("log.topic_settings", { detail });
    }
    verifySettings(spec, settings, Math.min(replicas, topic.replicas), topicRetentionMs);
    return { name, partitions, cleanup, epoch };
  }

  /** Runs with the directory's only writer, again when another process has taken that away. */
  async #alone<T>(change: (writer: KafkaWriter) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const running = this.#turn.then(() => this.#untilDone(change, signal));
    this.#turn = running.catch(() => undefined);
    return await running;
  }

  async #untilDone<T>(change: (writer: KafkaWriter) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    for (;;) {
      const cluster = new Cluster({ ...this.#cluster.settings, transactionTimeoutMs });
      await using writer = await KafkaWriter.open(cluster, this.#control.name, null, signal);
      try {
        return await change(writer);
      } catch (error) {
        if (!(error instanceof DataTraceError) || !raceCodes.has(error.code)) throw error;
      }
      await pause(Math.random() * maxLostRaceMs, signal);
    }
  }

  async #entry(name: string, signal: AbortSignal | undefined): Promise<Entry | undefined> {
    return parse((await this.#control.read(signal)).get(name));
  }

  async #metadata(name: string, signal: AbortSignal | undefined): Promise<TopicMetadata | undefined> {
    const [topic] = await this.#cluster.persist(() => this.#cluster.refresh([name]), signal);
    return topic;
  }
}

function parse(text: string | undefined): Entry | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as Entry);
}
