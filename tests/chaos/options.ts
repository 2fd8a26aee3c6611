import { parseArgs } from "node:util";

export interface ChaosOptions {
  readonly seed: number;
  readonly rounds: number;
  /** Only this round of the seed: replays a failure. */
  readonly only: number | null;
  /** The form for CI: few rounds with many faults each. */
  readonly short: boolean;
  /** Names of faults that replace those dealt, in every round: to look at one of them. */
  readonly faults: readonly string[] | null;
  /** Leave each round's folder, with its log and its processes' output, in the temporary directory. */
  readonly keep: boolean;
}

const usage = "npm run chaos -- [--seed S] [--rounds N] [--only K] [--short] [--faults a,b] [--keep]";

/** @throws Error with the usage. */
export function parseChaosOptions(args: readonly string[]): ChaosOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: "string" },
      rounds: { type: "string" },
      only: { type: "string" },
      short: { type: "boolean", default: false },
      faults: { type: "string" },
      keep: { type: "boolean", default: false },
    },
  });
  return {
    seed: wholeNumber(values.seed ?? String(Date.now() % 1_000_000)),
    rounds: wholeNumber(values.rounds ?? (values.short ? "3" : "200")),
    only: values.only === undefined ? null : wholeNumber(values.only),
    short: values.short,
    faults: values.faults?.split(",") ?? null,
    keep: values.keep,
  };
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(usage);
  return value;
}
