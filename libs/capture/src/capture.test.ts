import { expect, test } from "vitest";
import { type ModelReport, type ModelRunOptions, runModel } from "./model/model-run.ts";

const budgetMs = Number(process.env["PROPERTY_TEST_BUDGET_MS"] ?? 3000);
const firstSeed = Number(process.env["PROPERTY_TEST_SEED"] ?? 1);
const fewestRuns = 20;

interface Exploration {
  /** The first seed that went wrong, with what is wrong; null is the only pass. */
  readonly failed: { readonly seed: number; readonly wrong: ModelReport["wrong"] } | null;
  readonly crashes: number;
  readonly reads: number;
}

/** Runs seed after seed for a while. */
async function explore(options: ModelRunOptions): Promise<Exploration> {
  const end = performance.now() + budgetMs;
  let [crashes, reads] = [0, 0];
  for (let seed = firstSeed; seed < firstSeed + fewestRuns || performance.now() < end; seed += 1) {
    const report = await runModel(seed, options);
    crashes += report.crashes;
    reads += report.reads;
    if (report.wrong.length > 0) return { failed: { seed, wrong: report.wrong }, crashes, reads };
  }
  return { failed: null, crashes, reads };
}

const calm: ModelRunOptions = {
  mode: "snapshot+stream",
  actions: 400,
  crashes: 0,
  sourceFailures: 0,
  logFailures: 0,
  held: 0.5,
};

test("I3: writers race chunks, with commits that become visible late: no gap, no stale row", async () => {
  const { failed, reads } = await explore(calm);
  expect(failed).toBeNull();
  expect(reads).toBeGreaterThan(500);
}, 60_000);

test("I7: the capture dies at any durable step, again and again: each change is there once, no row is lost", async () => {
  const { failed, crashes } = await explore({ ...calm, crashes: 8 });
  expect(failed).toBeNull();
  expect(crashes).toBeGreaterThan(40);
}, 60_000);

test("I7: source and log fail in all the ways that pass: each change is there once, no row is lost", async () => {
  const { failed } = await explore({ ...calm, crashes: 2, sourceFailures: 0.005, logFailures: 0.1 });
  expect(failed).toBeNull();
}, 60_000);
