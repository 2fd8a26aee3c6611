import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { temporaryDirectory } from "@datatrace/testkit";
import { expect, test } from "vitest";
import { addRawCoverage, percent, readRawCoverage, summarise } from "./coverage.ts";
import type { FileCoverage } from "./coverage.ts";

const source = `type Text = { readonly "é😀": string };
export function choose(x: number): string {
  if (x > 1) {
    return "big";
  }
  return x > 0 ? "one" : "zero";
}
export function never(): string {
  return "never";
}
`;

/** Where a piece of the source is, as Istanbul says it. */
function span(piece: string, from = 0) {
  const start = source.indexOf(piece, from);
  const place = (offset: number) => {
    const before = source.slice(0, offset).split("\n");
    return { line: before.length, column: before.at(-1)?.length ?? 0 };
  };
  return { start: place(start), end: place(start + piece.length) };
}

/** Nothing of it was run. */
function untouched(path: string): FileCoverage {
  const whole = span('if (x > 1) {\n    return "big";\n  }');
  return {
    path,
    statementMap: { 0: whole, 1: span('return "big";'), 2: span("return x > 0"), 3: span('return "never";') },
    fnMap: { 0: { loc: span("{\n  if") }, 1: { loc: span('{\n  return "never"') } },
    branchMap: {
      0: { type: "if", locations: [whole, { start: {}, end: {} }] },
      1: { type: "cond-expr", locations: [span('"one"'), span('"zero"')] },
    },
    s: { 0: 0, 1: 0, 2: 0, 3: 0 },
    f: { 0: 0, 1: 0 },
    b: { 0: [0, 0], 1: [0, 0] },
  };
}

/** Runs `choose` in a worker thread of a process of its own, once for each list of numbers. */
function runElsewhere(folder: string, runs: readonly (readonly number[])[]): string {
  const [file, raw] = [join(folder, "choose.ts"), join(folder, "raw")];
  mkdirSync(raw);
  writeFileSync(file, source);
  for (const numbers of runs) {
    const work = `import(${JSON.stringify(pathToFileURL(file).href)}).then((m) => ${JSON.stringify(numbers)}.map(m.choose))`;
    const program = `new (require("node:worker_threads").Worker)(${JSON.stringify(work)}, { eval: true })`;
    execFileSync(process.execPath, ["--eval", program], { env: { ...process.env, NODE_V8_COVERAGE: raw } });
  }
  writeFileSync(join(raw, "cut-off.json"), '{"result":[{"url":"fi');
  return file;
}

test.for([
  {
    runs: [[0]],
    s: [1, 0, 1, 0],
    b: [
      [0, 1],
      [0, 1],
    ],
  },
  {
    runs: [[1]],
    s: [1, 0, 1, 0],
    b: [
      [0, 1],
      [1, 0],
    ],
  },
  {
    runs: [[2]],
    s: [1, 1, 0, 0],
    b: [
      [1, 0],
      [0, 0],
    ],
  },
  {
    runs: [[0], [2, 1, 2]],
    s: [4, 2, 2, 0],
    b: [
      [2, 2],
      [1, 1],
    ],
  },
  {
    runs: [],
    s: [0, 0, 0, 0],
    b: [
      [0, 0],
      [0, 0],
    ],
  },
])("what threads of other processes ran with $runs counts", async ({ runs, s, b }) => {
  await using folder = await temporaryDirectory("coverage");
  const file = runElsewhere(folder.path, runs);
  const coverage = untouched(file);
  const run = readRawCoverage(join(folder.path, "raw"), [coverage]).get(pathToFileURL(file).href);
  addRawCoverage(coverage, run ?? new Uint32Array());
  expect(Object.values(coverage.s)).toEqual(s);
  expect(Object.values(coverage.b)).toEqual(b);
  expect(Object.values(coverage.f)).toEqual([runs.flat().length, 0]);
});

test("what vitest has counted is added to", async () => {
  await using folder = await temporaryDirectory("coverage");
  const file = runElsewhere(folder.path, [[2]]);
  const coverage = { ...untouched(file), s: { 0: 5, 1: 0, 2: 5, 3: 0 }, b: { 0: [0, 5], 1: [5, 0] } };
  const run = readRawCoverage(join(folder.path, "raw"), [coverage]).get(pathToFileURL(file).href);
  addRawCoverage(coverage, run ?? new Uint32Array());
  expect(coverage.s).toEqual({ 0: 6, 1: 1, 2: 5, 3: 0 });
  expect(coverage.b).toEqual({ 0: [1, 5], 1: [5, 0] });
  const { statements, branches, functions, lines } = summarise([coverage]);
  expect([statements, branches, functions, lines]).toEqual([
    { run: 3, all: 4 },
    { run: 3, all: 4 },
    { run: 1, all: 2 },
    { run: 3, all: 4 },
  ]);
  expect(percent(statements)).toBe(75);
});
