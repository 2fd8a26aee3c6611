/** One line of the bench's output. */
export interface BenchResult {
  readonly bench: string;
  readonly measured: Readonly<Record<string, number | string>>;
  /** Limits of this machine, measured in the same run. */
  readonly raw: Readonly<Record<string, number | string>>;
  /** Share of the raw limit that was reached, where there is one. */
  readonly ratio: number | null;
  /** The ratio below which the bench fails; null = reported only. */
  readonly mark: number | null;
  /** What we aim for on a quiet machine; never fails a run. */
  readonly aim: string;
}

export function passes(result: BenchResult): boolean {
  return result.mark === null || (result.ratio !== null && result.ratio >= result.mark);
}

/** Three significant digits are what one run on a busy machine can tell. */
export function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
