import { setTimeout as delay } from "node:timers/promises";
import { DataTraceError } from "@datatrace/core";
import type { EventLog, LogReader, Logger, ReaderEvent } from "@datatrace/core";
import { specPartition, specTopic } from "./control-topics.ts";
import type { SpecKind } from "./control-topics.ts";

export interface OwnershipOptions {
  readonly log: EventLog;
  readonly kind: SpecKind;
  /** The kind of service whose replicas share the specs, such as `postgres`. */
  readonly service: string;
  readonly logger: Logger;
  /** Other partitions are owned than before. Never throws. */
  readonly changed: () => void;
  /** Resolves when nothing runs any more of what is not owned. */
  readonly released: () => Promise<void>;
}

const retryFirstMs = 100;
const retryMaxMs = 5_000;

/**
 * Which specs of a kind this process owns: a replica is a member of a group over the partitions of their topic, and
 * owning a partition is owning the specs in it. For a moment two may think so; the writer's epoch decides (I2).
 */
export class SpecOwnership {
  readonly #options: OwnershipOptions;
  readonly #owned = new Set<number>();
  #rejoin = new AbortController();
  #trouble: DataTraceError | null = null;
  #joined = false;

  constructor(options: OwnershipOptions) {
    this.#options = options;
  }

  /** False before the first assignment. */
  get joined(): boolean {
    return this.#joined;
  }

  /** Why the group cannot be followed now; null when it can. */
  get trouble(): DataTraceError | null {
    return this.#trouble;
  }

  owns(id: string): boolean {
    return this.#owned.has(specPartition(id));
  }

  /** Leaves the group, and joins it again: whoever was fenced learns so what is his, from those who decide it. */
  rejoin(): void {
    this.#rejoin.abort(new Error("rejoins the group"));
  }

  /**
   * Follows the group until the signal, and leaves it then. Give the signal when nothing runs any more.
   * @throws DataTraceError what does not pass by itself: `log.closed`, `log.grant_missing`, …
   */
  async run(signal: AbortSignal): Promise<void> {
    const { log, kind, service } = this.#options;
    for (let waitMs = retryFirstMs; !signal.aborted;) {
      this.#rejoin = new AbortController();
      const both = AbortSignal.any([signal, this.#rejoin.signal]);
      try {
        await using reader = await log.openReader(`datatrace.control.${kind}.${service}`, [specTopic(kind).name], both);
        await this.#follow(reader, both, () => {
          waitMs = retryFirstMs;
        });
      } catch (error) {
        if (signal.aborted) return;
        if (!this.#rejoin.signal.aborted) {
          await this.#waitOut(error, waitMs, both);
          waitMs = Math.min(2 * waitMs, retryMaxMs);
        }
      }
    }
  }

  async #follow(reader: LogReader, signal: AbortSignal, well: () => void): Promise<never> {
    try {
      for (;;) {
        const events = await reader.poll(signal);
        this.#trouble = null;
        well();
        for (const event of events) this.#take(event);
      }
    } finally {
      // Before the group is left: so its next owner finds nothing running.
      if (this.#owned.size > 0) {
        this.#owned.clear();
        this.#options.changed();
        await this.#options.released();
      }
    }
  }

  #take(event: ReaderEvent): void {
    if (event.kind === "batch") return;
    for (const { partition } of event.partitions) {
      if (event.kind === "assigned") this.#owned.add(partition);
      else this.#owned.delete(partition);
    }
    this.#joined = true;
    this.#options.changed();
  }

  async #waitOut(error: unknown, waitMs: number, signal: AbortSignal): Promise<void> {
    const passes = error instanceof DataTraceError && error.retry === "timed" && error.code !== "log.closed";
    if (!passes) throw error;
    if (this.#trouble === null) {
      const { code, message, fix } = error;
      this.#options.logger.warn("group of the specs cannot be followed, tries again", { code, error: message, fix });
    }
    this.#trouble = error;
    try {
      await delay(waitMs, undefined, { signal });
    } catch {
      // The next look at the signal ends it.
    }
  }
}
