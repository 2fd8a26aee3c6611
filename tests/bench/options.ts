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
  /** Whether this part is wanted; the snapshot is, whenever another needs what it leaves in the log. */
  readonly wants: (part: BenchPart) => boolean;
}

const parts = ["snapshot", "drain", "upsert", "whole", "latency"] as const;
export type BenchPart = (typeof parts)[number];

export function parseBenchOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      short: { type: "boolean", default: false },
      rows: { type: "string" },
      profile: { type: "string" },
      only: { type: "string", multiple: true, default: [] },
    },
  });
  const rows = Number(values.rows ?? (values.short ? "80000" : "1000000"));
  if (!Number.isInteger(rows) || rows < 10_000) throw new Error("--rows takes a whole number from 10000");
  const { only } = values;
  const unknown = only.find((part) => !parts.some((known) => known === part));
  if (unknown !== undefined) throw new Error(`--only takes one of ${parts.join(", ")}`);
  return {
    short: values.short,
    rows,
    latencySeconds: values.short ? 4 : 20,
    rates: values.short ? [1_000] : [1_000, 2_000],
    profile: values.profile ?? null,
    wants: (part) => only.length === 0 || only.includes(part),
  };
}
