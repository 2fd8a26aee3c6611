import { parseArgs } from "node:util";

export interface BenchOptions {
  /** The form for CI: fewer rows, less time, the same ratios. */
  readonly short: boolean;
  readonly rows: number;
  /** Seconds of measured load at each rate. */
  readonly latencySeconds: number;
  readonly rates: readonly number[];
  /** Write a CPU profile of each process here. */
  readonly profile: string | null;
}

export function parseBenchOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      short: { type: "boolean", default: false },
      rows: { type: "string" },
      profile: { type: "string" },
    },
  });
  const rows = Number(values.rows ?? (values.short ? "80000" : "1000000"));
  if (!Number.isInteger(rows) || rows < 10_000) throw new Error("--rows takes a whole number from 10000");
  return {
    short: values.short,
    rows,
    latencySeconds: values.short ? 4 : 20,
    rates: values.short ? [1_000] : [1_000, 2_000],
    profile: values.profile ?? null,
  };
}
