import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** A place in a file: lines from 1, columns from 0, in UTF-16 units. Empty for an `else` that is not written. */
interface Place {
  readonly line?: number;
  readonly column?: number | null;
}

interface Span {
  readonly start: Place;
  readonly end: Place;
}

/** One file of a `coverage-final.json` (Istanbul's format): what there is, and how often each was run. */
export interface FileCoverage {
  readonly path: string;
  readonly statementMap: Readonly<Record<string, Span>>;
  readonly fnMap: Readonly<Record<string, { readonly loc: Span }>>;
  readonly branchMap: Readonly<Record<string, { readonly type: string; readonly locations: readonly Span[] }>>;
  readonly s: Record<string, number>;
  readonly f: Record<string, number>;
  readonly b: Record<string, number[]>;
}

/** What V8 writes at the end of a process or worker thread when `NODE_V8_COVERAGE` is set. */
interface RawCoverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly {
      readonly ranges: readonly { readonly startOffset: number; readonly endOffset: number; readonly count: number }[];
    }[];
  }[];
}

/** How often each character of each file was run by other processes, by the file's URL. */
export type RunCharacters = ReadonlyMap<string, Uint32Array>;

function paint(text: Uint32Array, { functions }: RawCoverage["result"][number]): void {
  const own = new Uint32Array(text.length);
  // Ranges nest: an inner one says more than the one around it.
  const ranges = functions
    .flatMap((entry) => entry.ranges)
    .toSorted((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
  for (const { startOffset, endOffset, count } of ranges) own.fill(count, startOffset, endOffset);
  for (let index = 0; index < own.length; index++) text[index] = (text[index] ?? 0) + (own[index] ?? 0);
}

/**
 * Reads what processes and threads other than vitest's own have left in `folder`. Node strips types in place, so their
 * offsets are those of the source.
 */
export function readRawCoverage(folder: string, files: readonly FileCoverage[]): RunCharacters {
  const run = new Map(
    files.map(({ path }) => [pathToFileURL(path).href, new Uint32Array(readFileSync(path, "utf8").length)]),
  );
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".json"))) {
    let raw: RawCoverage;
    try {
      raw = JSON.parse(readFileSync(join(folder, name), "utf8")) as RawCoverage;
    } catch {
      // Cut off: its process was killed while it wrote.
      continue;
    }
    for (const script of raw.result) {
      const text = run.get(script.url);
      if (text !== undefined) paint(text, script);
    }
  }
  return run;
}

/** Adds to a file's counts what other processes have run. */
export function addRawCoverage(file: FileCoverage, run: Uint32Array): void {
  const lines = [0];
  for (const { index } of readFileSync(file.path, "utf8").matchAll(/\n/g)) lines.push(index + 1);
  const offset = ({ line, column }: Place): number => (lines[(line ?? 0) - 1] ?? 0) + (column ?? 0);
  const runs = (place: Place): number => (place.line === undefined ? 0 : (run[offset(place)] ?? 0));
  const statements = Object.values(file.statementMap)
    .map(({ start }) => offset(start))
    .toSorted((a, b) => a - b);

  /** An `if` has its own place in place of its consequent's, which is its first statement; what is missing there went to `else`. */
  const ifRuns = ([whole, otherwise]: readonly Span[]): readonly number[] => {
    if (whole === undefined || otherwise === undefined) return [];
    const [from, to] = [offset(whole.start), offset(whole.end)];
    const first = statements.find((at) => at > from && at < to);
    const then = first === undefined ? 0 : (run[first] ?? 0);
    return [then, otherwise.start.line === undefined ? Math.max(0, runs(whole.start) - then) : runs(otherwise.start)];
  };

  for (const [id, { start }] of Object.entries(file.statementMap)) file.s[id] = (file.s[id] ?? 0) + runs(start);
  for (const [id, { loc }] of Object.entries(file.fnMap)) file.f[id] = (file.f[id] ?? 0) + runs(loc.start);
  for (const [id, { type, locations }] of Object.entries(file.branchMap)) {
    const added = type === "if" ? ifRuns(locations) : locations.map(({ start }) => runs(start));
    file.b[id] = (file.b[id] ?? []).map((count, index) => count + (added[index] ?? 0));
  }
}

export const measures = ["statements", "branches", "functions", "lines"] as const;
export type Measure = (typeof measures)[number];

/** How many there are of each, and how many were run. */
export type Coverage = Readonly<Record<Measure, { readonly run: number; readonly all: number }>>;

function tally(counts: readonly number[]): { run: number; all: number } {
  return { run: counts.filter((count) => count > 0).length, all: counts.length };
}

function lineCounts({ statementMap, s }: FileCoverage): readonly number[] {
  const lines = new Map<number, number>();
  for (const [id, { start }] of Object.entries(statementMap)) {
    const line = start.line ?? 0;
    lines.set(line, Math.max(lines.get(line) ?? 0, s[id] ?? 0));
  }
  return [...lines.values()];
}

export function summarise(files: readonly FileCoverage[]): Coverage {
  return {
    statements: tally(files.flatMap(({ s }) => Object.values(s))),
    branches: tally(files.flatMap(({ b }) => Object.values(b).flat())),
    functions: tally(files.flatMap(({ f }) => Object.values(f))),
    lines: tally(files.flatMap((file) => lineCounts(file))),
  };
}

export function percent({ run, all }: { readonly run: number; readonly all: number }): number {
  return all === 0 ? 100 : (run / all) * 100;
}
