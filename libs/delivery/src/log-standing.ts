import type { EventLog, LogReader } from "@datatrace/core";
import type { DeliveryObserver } from "./observer.ts";
import type { PartitionDelivery } from "./partition-delivery.ts";
import { placeOf } from "./place.ts";

/** Records that are not applied. */
export interface Lag {
  readonly rows: bigint;
  /** Age of the oldest of them that is known here; 0 when none is. */
  readonly seconds: number;
  readonly byTopic: ReadonlyMap<string, bigint>;
}

/** By place. */
type Partitions = ReadonlyMap<string, PartitionDelivery>;

/** How far a delivery is in the log: its lag, and what the log is told of it. */
export class LogStanding {
  readonly #log: EventLog;
  readonly #delivery: string;
  readonly #observer: DeliveryObserver;
  readonly #hinted = new Map<string, bigint>();
  #lag: Lag = { rows: 0n, seconds: 0, byTopic: new Map() };

  constructor(log: EventLog, delivery: string, observer: DeliveryObserver) {
    this.#log = log;
    this.#delivery = delivery;
    this.#observer = observer;
  }

  /** As it was last measured. */
  get lag(): Lag {
    return this.#lag;
  }

  async measure(partitions: Partitions, signal: AbortSignal): Promise<void> {
    const byTopic = new Map<string, bigint>();
    let oldestUs: number | null = null;
    for (const { topic, partition, next, earliest, end } of await this.#log.groupProgress(this.#delivery, signal)) {
      const owned = partitions.get(placeOf({ topic, partition }));
      if (owned !== undefined) owned.end = end;
      const done = owned?.next ?? next ?? earliest;
      const rows = end > done ? end - done : 0n;
      byTopic.set(topic, (byTopic.get(topic) ?? 0n) + rows);
      const commitTsUs = rows === 0n ? null : (owned?.oldestCommitTsUs ?? null);
      if (commitTsUs !== null) oldestUs = Math.min(oldestUs ?? commitTsUs, commitTsUs);
    }
    const rows = byTopic.values().reduce((sum, lag) => sum + lag, 0n);
    const seconds = oldestUs === null ? 0 : Math.max(0, Date.now() / 1000 - oldestUs / 1_000_000);
    this.#lag = { rows, seconds, byTopic };
    const parkedKeys = partitions.values().reduce((sum, owned) => sum + owned.parkedKeys, 0);
    this.#observer.lag(Number(rows), seconds, parkedKeys);
  }

  /** What the target has stored, and nothing beyond it, need not be kept in the log for this delivery (I2). */
  async hint(reader: LogReader, partitions: Partitions): Promise<void> {
    for (const [place, { at, next }] of partitions) {
      if (next === null || this.#hinted.get(place) === next) continue;
      await reader.commit(at, next);
      this.#hinted.set(place, next);
    }
  }
}
