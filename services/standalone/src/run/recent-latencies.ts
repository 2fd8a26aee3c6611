const kept = 2048;

/** The latencies of the last changes, for a look at what is usual now. The histogram of the metrics has them all. */
export class RecentLatencies {
  readonly #ring = new Float64Array(kept);
  #count = 0;

  add(seconds: number): void {
    this.#ring[this.#count % kept] = seconds;
    this.#count++;
  }

  /** Seconds that this share (0 to 1) of the last changes took at most; null before the first. */
  quantile(share: number): number | null {
    const size = Math.min(this.#count, kept);
    if (size === 0) return null;
    const sorted = this.#ring.slice(0, size).toSorted();
    return sorted[Math.min(size - 1, Math.floor(share * size))] ?? null;
  }
}
