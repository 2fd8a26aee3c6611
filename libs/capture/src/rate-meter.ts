/** Rows per second over the last few seconds, from a counter that is looked at about once a second. */
export class RateMeter {
  #count = 0;
  #atMs: number | null = null;
  #rate = 0;

  get perSecond(): number {
    return this.#rate;
  }

  measure(count: number, nowMs: number): void {
    const before = this.#atMs;
    const rows = Math.max(0, count - this.#count);
    this.#count = count;
    this.#atMs = nowMs;
    if (before === null || nowMs <= before) return;
    const now = (rows * 1000) / (nowMs - before);
    this.#rate = this.#rate === 0 ? now : this.#rate * 0.7 + now * 0.3;
    if (this.#rate < 1) this.#rate = 0;
  }
}
