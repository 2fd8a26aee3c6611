import type { CaptureSource, Position } from "@datatrace/core";

interface Sample {
  readonly head: Position;
  readonly atMs: number;
}

export interface Lag {
  /** Bytes of the source's log that were not looked at yet. */
  readonly bytes: number;
  /** Age of the oldest change that may be missing in the log, in seconds; 0 when caught up. */
  readonly seconds: number;
}

/** More samples than this are thinned out: a long backlog needs no finer measure. */
const maxSamples = 120;

/**
 * How far a capture is behind. Seconds come from when each sampled head of the source was first seen, so that an idle
 * source shows none; within a backlog older than this process, from the commit time of the last transaction.
 */
export class LagMeter {
  readonly #source: Pick<CaptureSource, "reached" | "distanceBytes">;
  #samples: Sample[] = [];
  lag: Lag = { bytes: 0, seconds: 0 };

  constructor(source: Pick<CaptureSource, "reached" | "distanceBytes">) {
    this.#source = source;
  }

  /** `commitTsUs`: of the last transaction in the log, microseconds since the epoch, 0 if unknown. */
  measure(head: Position, reached: Position, commitTsUs: number, nowMs: number): Lag {
    const source = this.#source;
    this.#samples.push({ head, atMs: nowMs });
    this.#samples = this.#samples.filter((sample) => !source.reached(reached, sample.head));
    if (this.#samples.length > maxSamples) this.#samples = this.#samples.filter((_, index) => index % 2 === 0);
    const [oldest] = this.#samples;
    const waitingMs = oldest === undefined ? 0 : nowMs - oldest.atMs;
    const backlogMs = waitingMs > 0 && commitTsUs > 0 ? nowMs - commitTsUs / 1000 : 0;
    this.lag = {
      bytes: oldest === undefined ? 0 : source.distanceBytes(reached, head),
      seconds: Math.max(0, waitingMs, backlogMs) / 1000,
    };
    return this.lag;
  }
}
