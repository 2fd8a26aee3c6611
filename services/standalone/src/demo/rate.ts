/** Growth per second of a counter over its newest samples. */
export class Rate {
  readonly #windowMs: number;
  readonly #samples: { readonly atMs: number; readonly value: number }[] = [];

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Takes a sample and answers the rate; 0 until there are two. */
  perSecond(value: number, atMs: number): number {
    this.#samples.push({ atMs, value });
    while (this.#samples.length > 2 && atMs - (this.#samples[0]?.atMs ?? atMs) > this.#windowMs) this.#samples.shift();
    const [first] = this.#samples;
    if (first === undefined || atMs <= first.atMs) return 0;
    return (Math.max(0, value - first.value) * 1_000) / (atMs - first.atMs);
  }
}
