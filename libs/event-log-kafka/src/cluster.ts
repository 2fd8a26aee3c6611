import { DataTraceError, untilAborted } from "@datatrace/core";
import type { TopicPartition } from "@datatrace/core";

import {
  asDataTraceError,
  BrokerError,
  BrokerUnreachable,
  codes,
  demandSuccess,
  isLost,
  isPassing,
} from "./broker-error.ts";
import { BrokerLink } from "./broker-link.ts";
import { ClusterMetadata } from "./cluster-metadata.ts";
import type { TopicMetadata } from "./cluster-metadata.ts";
import type { KafkajsCall } from "./kafkajs-internals.ts";
import type { KafkaSettings } from "./kafka-options.ts";
import { pause } from "./pause.ts";

/** Who coordinates: of a group or of a transactional id. Numbers of the protocol. */
export type CoordinatorKind = "group" | "transaction";

/** How long to wait before something is tried again: at first, and at most. */
export interface Delays {
  readonly firstMs: number;
  readonly maxMs: number;
}

const newTopicLooks = 5;
const newTopicPauseMs = 100;

const moved: ReadonlySet<number> = new Set([
  codes.coordinatorLoading,
  codes.coordinatorNotAvailable,
  codes.notCoordinator,
]);

const usualDelays: Delays = { firstMs: 5, maxMs: 250 };

/**
 * Brokers with a connection of its own to each, and who leads and coordinates what. One for each reader and writer: a
 * broker answers the requests of a connection one after the other, and some of them wait long.
 */
export class Cluster implements AsyncDisposable {
  readonly settings: KafkaSettings;
  readonly metadata = new ClusterMetadata();
  readonly #links = new Map<number, BrokerLink>();
  readonly #seeds: readonly BrokerLink[];
  readonly #coordinators = new Map<string, number>();
  #closed = false;

  constructor(settings: KafkaSettings) {
    this.settings = settings;
    this.#seeds = settings.brokers.map((address) => {
      const at = address.lastIndexOf(":");
      // An address of IPv6 stands in brackets.
      const host = address.slice(0, at).replace(/^\[(.*)\]$/, "$1");
      return new BrokerLink(settings, host, Number(address.slice(at + 1)));
    });
  }

  /** Asks whichever broker answers. */
  async askAny<T>(api: string, parameters: unknown): Promise<T> {
    this.#demandOpen();
    let last: unknown = new BrokerUnreachable("no broker is known");
    for (const link of this.#candidates()) {
      try {
        return await link.ask<T>(api, parameters);
      } catch (error) {
        if (!isLost(error)) throw error;
        last = error;
        this.#demandOpen();
      }
    }
    throw last;
  }

  async ask<T>(nodeId: number, api: string, parameters: unknown): Promise<T> {
    this.#demandOpen();
    return await this.#link(nodeId).ask<T>(api, parameters);
  }

  /** Whether this broker can be asked; otherwise `refresh` first. */
  knows(nodeId: number): boolean {
    return this.#links.has(nodeId);
  }

  /** Sends a call that was put together by hand. */
  async send(nodeId: number, call: KafkajsCall, connection: 0 | 1 = 0): Promise<unknown> {
    this.#demandOpen();
    return await this.#link(nodeId).send(call, connection);
  }

  /** Asks the controller; whoever it is not says so. */
  async askController<T>(api: string, parameters: unknown): Promise<T> {
    if (this.metadata.controller === null) await this.refresh(null);
    const { controller } = this.metadata;
    if (controller === null) throw new BrokerUnreachable("no controller is known");
    return await this.ask<T>(controller, api, parameters);
  }

  /** `codeOf` finds the error code in the answer. @throws BrokerError when it is not 0. */
  async askCoordinator<T>(
    kind: CoordinatorKind,
    key: string,
    api: string,
    parameters: unknown,
    codeOf: (answer: T) => number,
  ): Promise<T> {
    try {
      const answer = await this.ask<T>(await this.coordinator(kind, key), api, parameters);
      demandSuccess(api, codeOf(answer));
      return answer;
    } catch (error) {
      if (isLost(error) || (error instanceof BrokerError && moved.has(error.code))) {
        this.#coordinators.delete(`${kind} ${key}`);
      }
      throw error;
    }
  }

  async coordinator(kind: CoordinatorKind, key: string): Promise<number> {
    const known = this.#coordinators.get(`${kind} ${key}`);
    if (known !== undefined && this.#links.has(known)) return known;
    const answer = await this.askAny<{
      errorCode: number;
      coordinator: { nodeId: number; host: string; port: number };
    }>("GroupCoordinator", { groupId: key, coordinatorType: kind === "group" ? 0 : 1 });
    demandSuccess("FindCoordinator", answer.errorCode);
    const { nodeId, host, port } = answer.coordinator;
    this.#learn(nodeId, host, port);
    this.#coordinators.set(`${kind} ${key}`, nodeId);
    return nodeId;
  }

  /** Asks for these topics, all when null, and answers those that exist. */
  async refresh(topics: readonly string[] | null): Promise<readonly TopicMetadata[]> {
    const answer = await this.askAny<Parameters<ClusterMetadata["take"]>[0]>("Metadata", {
      // An empty list is sent as none, which means all.
      topics: topics ?? [],
      allowAutoTopicCreation: false,
    });
    for (const { nodeId, host, port } of answer.brokers) this.#learn(nodeId, host, port);
    return this.metadata.take(answer, topics);
  }

  /** @throws DataTraceError `log.topic_unknown`; BrokerError while it has no leader. */
  async leader(place: TopicPartition): Promise<number> {
    let topic = this.metadata.topic(place.topic);
    if (topic === undefined || (topic.leaders[place.partition] ?? -1) < 0) {
      topic = await this.#find(place.topic);
    }
    const leader = topic?.leaders[place.partition];
    if (leader === undefined) throw new DataTraceError("log.topic_unknown", { detail: { ...nameOf(place) } });
    demandSuccess("Metadata", leader < 0 ? codes.leaderNotAvailable : codes.none);
    return leader;
  }

  /** Of several brokers one may not have heard yet of a topic that another has just made. */
  async #find(name: string): Promise<TopicMetadata | undefined> {
    for (let look = 0; look < newTopicLooks; look += 1) {
      if (look > 0) await pause(newTopicPauseMs);
      await this.refresh([name]);
      const topic = this.metadata.topic(name);
      if (topic !== undefined || this.metadata.brokerCount < 2) return topic;
    }
    return undefined;
  }

  /**
   * Tries again what may succeed a little later, up to the patience of the settings.
   * @throws DataTraceError `log.connection_lost`, … ; the signal's reason.
   */
  async persist<T>(action: () => Promise<T>, signal?: AbortSignal, delays: Delays = usualDelays): Promise<T> {
    const endMs = performance.now() + this.settings.patienceMs;
    let delayMs = delays.firstMs;
    for (;;) {
      signal?.throwIfAborted();
      this.#demandOpen();
      try {
        return signal === undefined ? await action() : await untilAborted(action(), signal);
      } catch (error) {
        this.#demandOpen();
        if (!isPassing(error) || performance.now() > endMs) throw asDataTraceError(error);
      }
      await pause(delayMs, signal);
      delayMs = Math.min(2 * delayMs, delays.maxMs);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#seeds, ...this.#links.values()].map((link) => link.close()));
  }

  #demandOpen(): void {
    if (this.#closed) throw new DataTraceError("log.closed");
  }

  #candidates(): readonly BrokerLink[] {
    const all = [...this.#links.values(), ...this.#seeds];
    return [...all.filter((link) => link.connected), ...all.filter((link) => !link.connected)];
  }

  #learn(nodeId: number, host: string, port: number): void {
    const known = this.#links.get(nodeId);
    if (known !== undefined && known.host === host && known.port === port) return;
    if (known !== undefined && !this.#seeds.includes(known)) void known.close();
    const seed = this.#seeds.find((link) => link.host === host && link.port === port);
    this.#links.set(nodeId, seed ?? new BrokerLink(this.settings, host, port));
  }

  #link(nodeId: number): BrokerLink {
    const link = this.#links.get(nodeId);
    if (link === undefined) throw new BrokerUnreachable(`broker ${nodeId} is not known`);
    return link;
  }
}

function nameOf({ topic, partition }: TopicPartition): { topic: string; partition: number } {
  return { topic, partition };
}
