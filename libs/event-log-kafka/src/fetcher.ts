import { DataTraceError } from "@datatrace/core";

import { asDataTraceError, BrokerError, codes, isLost, isPassing, passesByItself } from "./broker-error.ts";
import { Cluster } from "./cluster.ts";
import { fetchCall } from "./fetch-request.ts";
import type { FetchAnswer } from "./fetch-request.ts";
import type { HeldPartition } from "./held-partition.ts";
import { placeName, readBounds } from "./offsets.ts";
import { pause } from "./pause.ts";
import { visibleRecords } from "./visible-records.ts";

const maxBytes = 8 * 1024 * 1024;
const maxPartitionBytes = 2 * 1024 * 1024;
const idleWaitMs = 50;
/** When a partition with records that wait to be taken will soon have to be fetched, too. */
const shortWaitMs = 10;
const lanes = [0, 1] as const;

type Lane = (typeof lanes)[number];
const retryMs = 100;

export interface FetchListener {
  /** There is something to be taken. */
  fetched(): void;
  failed(error: unknown): void;
}

/**
 * Fetches ahead, at most one answer of each partition that was sought and is not paused. A request names only partitions
 * with nothing left to take, so that none holds another up. Each broker has two lanes: while a request waits in one of
 * them for news, a partition that was sought or resumed is fetched in the other.
 */
export class Fetcher {
  /** Of the lanes. The first knows the leaders. */
  readonly #clusters: readonly [Cluster, Cluster];
  readonly #held: ReadonlyMap<string, HeldPartition>;
  readonly #listener: FetchListener;
  /** Brokers with a request under way, by lane. */
  readonly #busy: Readonly<Record<Lane, Set<number>>> = { 0: new Set(), 1: new Set() };
  #finding = false;
  #scheduled = false;
  #lastTurn = 0;
  #closed = false;

  /** `held` is the reader's: least recently served first. */
  constructor(cluster: Cluster, held: ReadonlyMap<string, HeldPartition>, listener: FetchListener) {
    this.#clusters = [cluster, new Cluster(cluster.settings)];
    this.#held = held;
    this.#listener = listener;
  }

  /** Something has changed: a seek, a pause, records that were taken. */
  wake(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#fetch();
    });
  }

  /** The connections that are its own. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#clusters[1][Symbol.asyncDispose]();
  }

  get #cluster(): Cluster {
    return this.#clusters[0];
  }

  #fetch(): void {
    if (this.#closed) return;
    const byLeader = new Map<number, HeldPartition[]>();
    const lost = new Set<string>();
    for (const held of this.#held.values()) {
      if (held.position === null || held.paused || held.fetched !== null || held.turn !== null) continue;
      const { topic, partition } = held.place;
      const leader = this.#cluster.metadata.topic(topic)?.leaders[partition] ?? -1;
      if (leader < 0) lost.add(topic);
      else if (this.#freeLane(leader) !== undefined) {
        const list = byLeader.get(leader);
        if (list === undefined) byLeader.set(leader, [held]);
        else list.push(held);
      }
    }
    if (lost.size > 0 && !this.#finding) void this.#find([...lost]);
    for (const [leader, list] of byLeader) {
      const lane = this.#freeLane(leader);
      if (lane !== undefined) void this.#fetchFrom(leader, lane, list);
    }
  }

  #freeLane(leader: number): Lane | undefined {
    return lanes.find((lane) => !this.#busy[lane].has(leader));
  }

  async #find(topics: readonly string[]): Promise<void> {
    this.#finding = true;
    try {
      await this.#cluster.refresh(topics);
      const missing = topics.some((topic) => this.#cluster.metadata.topic(topic)?.leaders.includes(-1) ?? true);
      if (missing) await pause(retryMs);
    } catch (error) {
      await this.#passed(error);
    } finally {
      this.#finding = false;
      this.wake();
    }
  }

  async #fetchFrom(leader: number, lane: Lane, list: readonly HeldPartition[]): Promise<void> {
    this.#busy[lane].add(leader);
    this.#lastTurn += 1;
    const turn = this.#lastTurn;
    const places = list.map((held) => ({ ...held.place, offset: held.position ?? 0n }));
    for (const held of list) held.turn = turn;
    try {
      const waiting = [...this.#held.values()].some(({ fetched }) => fetched !== null);
      const limits = { maxWaitMs: waiting ? shortWaitMs : idleWaitMs, maxBytes, maxPartitionBytes };
      const cluster = this.#clusters[lane];
      if (!cluster.knows(leader)) await cluster.refresh(null);
      const answers = (await cluster.send(leader, fetchCall(places, limits), 1)) as readonly FetchAnswer[];
      let news = false;
      for (const answer of answers) {
        const held = this.#held.get(placeName(answer));
        // Sought, revoked or paused since: it is not wanted any more.
        if (held === undefined || held.turn !== turn || held.position === null) continue;
        if (await this.#receive(held, answer, turn)) news = true;
      }
      if (news) this.#listener.fetched();
    } catch (error) {
      if (isLost(error)) for (const { topic } of places) this.#cluster.metadata.forget(topic);
      await this.#passed(error);
    } finally {
      for (const held of list) if (held.turn === turn) held.turn = null;
      this.#busy[lane].delete(leader);
      this.wake();
    }
  }

  /** True when there is something to be taken. */
  async #receive(held: HeldPartition, answer: FetchAnswer, turn: number): Promise<boolean> {
    const { position, place } = held;
    if (position === null) return false;
    if (answer.errorCode === codes.offsetOutOfRange) {
      await this.#judgeRange(held, position, turn);
      return false;
    }
    if (answer.errorCode !== codes.none) {
      this.#cluster.metadata.forget(place.topic);
      if (!passesByItself(answer.errorCode)) this.#stop(held, new BrokerError("Fetch", answer.errorCode));
      return false;
    }
    try {
      const { records, next } = visibleRecords(answer, position);
      // Of markers and aborted records nothing is told.
      if (records.length === 0) held.position = next;
      else held.fetched = { records, next, taken: 0 };
      return records.length > 0;
    } catch (error) {
      this.#stop(held, error);
      return false;
    }
  }

  /** It stands still until it is sought again. */
  #stop(held: HeldPartition, error: unknown): void {
    held.position = null;
    this.#listener.failed(asDataTraceError(error));
  }

  /** A leader that has just been elected may know of less for a moment than the one before had shown. */
  async #judgeRange(held: HeldPartition, position: bigint, turn: number): Promise<void> {
    const { place } = held;
    const { earliest, end } = (await readBounds(this.#cluster, [place])).get(placeName(place)) ?? {
      earliest: 0n,
      end: 0n,
    };
    if (held.turn !== turn || (position >= earliest && position <= end)) return;
    const { topic, partition } = place;
    const detail = {
      topic,
      partition,
      offset: position.toString(),
      earliest: earliest.toString(),
      end: end.toString(),
    };
    this.#stop(held, new DataTraceError("log.out_of_range", { detail }));
  }

  async #passed(error: unknown): Promise<void> {
    if (this.#closed) return;
    const gone = error instanceof DataTraceError && error.code === "log.topic_unknown";
    if (!gone && !isPassing(error) && !(error instanceof DataTraceError && error.retry === "timed")) {
      this.#listener.failed(asDataTraceError(error));
    }
    await pause(retryMs);
  }
}
