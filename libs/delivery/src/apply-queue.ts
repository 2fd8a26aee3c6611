import type {
  ApplyOutcome,
  ApplyUnit,
  PartitionProgress,
  QuarantineEntry,
  RereadRequest,
  Sink,
  TableChanges,
} from "@datatrace/core";
import type { RereadRequests } from "./reread-requests.ts";

/** What one partition has ready for the target. */
export interface ApplyWork {
  readonly progress: PartitionProgress;
  readonly changes: TableChanges | null;
  readonly quarantine: readonly QuarantineEntry[];
  readonly rereadsDone: readonly RereadRequest[];
  /** Rows and entries, to tell small work from large. */
  readonly rows: number;
}

/** What became of it. `seconds`: from the start of its transaction until it was durable. */
export type WorkOutcome =
  | { readonly kind: "applied"; readonly seconds: number }
  | { readonly kind: "stale" }
  | Extract<ApplyOutcome, { readonly kind: "rejected" }>;

interface Entry {
  readonly work: ApplyWork;
  readonly signal: AbortSignal;
  readonly outcome: PromiseWithResolvers<WorkOutcome>;
  /** Shared a transaction that failed: now it shows alone whether it was to blame. */
  alone: boolean;
}

/** Up to so many rows several partitions share a transaction: with little to do, commits are what costs. */
const sharedRows = 250;

/**
 * Hands work to the target, at most so many transactions at once. Small work of several partitions that is ready at the
 * same time shares one; when that fails in any way, each part is tried alone.
 */
export class ApplyQueue {
  readonly #sink: Sink;
  readonly #delivery: string;
  readonly #limit: number;
  readonly #rereads: RereadRequests;
  readonly #signal: AbortSignal;
  #ready: Entry[] = [];
  #running = 0;
  #scheduled = false;

  constructor(sink: Sink, delivery: string, limit: number, rereads: RereadRequests, signal: AbortSignal) {
    this.#sink = sink;
    this.#delivery = delivery;
    this.#limit = limit;
    this.#rereads = rereads;
    this.#signal = signal;
  }

  /**
   * Throws what the target throws: `retry: "timed"` with nothing applied. Work that has begun is finished even when
   * `signal` aborts meanwhile; then the signal's reason is thrown nevertheless.
   */
  async apply(work: ApplyWork, signal: AbortSignal): Promise<WorkOutcome> {
    signal.throwIfAborted();
    const entry: Entry = { work, signal, outcome: Promise.withResolvers(), alone: false };
    this.#ready.push(entry);
    this.#schedule();
    const outcome = await entry.outcome.promise;
    signal.throwIfAborted();
    return outcome;
  }

  /** Resolves when nothing is on its way any more. */
  async idle(): Promise<void> {
    while (this.#running > 0 || this.#ready.length > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onIdle.push(resolve);
      await promise;
    }
  }

  readonly #onIdle: (() => void)[] = [];

  /** At the end of this turn of the event loop: what one poll brought for several partitions is then all here. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      while (this.#running < this.#limit) {
        const group = this.#takeGroup();
        if (group.length === 0) break;
        void this.#run(group);
      }
      if (this.#running === 0 && this.#ready.length === 0) for (const resolve of this.#onIdle.splice(0)) resolve();
    });
  }

  #takeGroup(): readonly Entry[] {
    const group: Entry[] = [];
    const rest: Entry[] = [];
    let rows = 0;
    for (const entry of this.#ready) {
      if (entry.signal.aborted) {
        entry.outcome.reject(entry.signal.reason);
        continue;
      }
      const shares = !entry.alone && rows + entry.work.rows <= sharedRows && group[0]?.alone !== true;
      if (group.length === 0 || shares) {
        group.push(entry);
        rows += entry.work.rows;
      } else rest.push(entry);
    }
    this.#ready = rest;
    return group;
  }

  async #run(group: readonly Entry[]): Promise<void> {
    this.#running += 1;
    const startMs = performance.now();
    try {
      const outcome = await this.#sink.apply(this.#delivery, unitOf(group), this.#signal);
      this.#settle(group, outcome, (performance.now() - startMs) / 1000);
    } catch (error) {
      if (group.length > 1 && !this.#signal.aborted) this.#again(group);
      else for (const { outcome } of group) outcome.reject(error);
    } finally {
      this.#running -= 1;
      this.#schedule();
    }
  }

  #settle(group: readonly Entry[], outcome: ApplyOutcome, seconds: number): void {
    switch (outcome.kind) {
      case "applied":
        // In this order, as in the target: a key may be settled and asked for again.
        this.#rereads.done(group.flatMap(({ work }) => work.rereadsDone));
        this.#rereads.asked(outcome.rereads);
        for (const entry of group) entry.outcome.resolve({ kind: "applied", seconds });
        return;
      case "stale": {
        const isStale = ({ work: { progress } }: Entry): boolean =>
          outcome.partitions.some(
            ({ topic, partition }) => topic === progress.topic && partition === progress.partition,
          );
        for (const entry of group.filter(isStale)) entry.outcome.resolve({ kind: "stale" });
        // The others go on without it.
        this.#again(group.filter((entry) => !isStale(entry)));
        return;
      }
      case "rejected":
        if (group.length > 1) this.#again(group);
        else group[0]?.outcome.resolve(outcome);
    }
  }

  #again(group: readonly Entry[]): void {
    for (const entry of group) entry.alone = true;
    this.#ready.unshift(...group);
  }
}

function unitOf(group: readonly Entry[]): ApplyUnit {
  const works = group.map(({ work }) => work);
  return {
    partitions: works.map(({ progress }) => progress),
    tables: works.flatMap(({ changes }) => (changes === null ? [] : [changes])),
    quarantine: works.flatMap(({ quarantine }) => quarantine),
    rereadsDone: works.flatMap(({ rereadsDone }) => rereadsDone),
  };
}
