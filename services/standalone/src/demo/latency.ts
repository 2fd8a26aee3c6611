const keepSamples = 600;

/** Percentiles over the newest samples. */
export class LatencyWindow {
  readonly #samplesMs: number[] = [];

  add(ms: number): void {
    this.#samplesMs.push(ms);
    if (this.#samplesMs.length > keepSamples) this.#samplesMs.shift();
  }

  /** `fraction` 0.5 is the median; null without samples. */
  quantile(fraction: number): number | null {
    const sorted = this.#samplesMs.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))] ?? null;
  }
}
