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

/** Which characters of each file some process has run, by the file's URL. */
export type RunCharacters = ReadonlyMap<string, Uint8Array>;

function paint(text: Uint8Array, { functions }: RawCoverage["result"][number]): void {
  const own = new Uint8Array(text.length);
  // Ranges nest: an inner one says more than the one around it.
  const ranges = functions
    .flatMap((entry) => entry.ranges)
    .toSorted((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
  for (const { startOffset, endOffset, count } of ranges) own.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  for (let index = 0; index < own.length; index++) text[index] = (text[index] ?? 0) | (own[index] ?? 0);
}

/**
 * Reads what processes and threads other than vitest's own have left in `folder`. Node strips types in place, so their
 * offsets are those of the source.
 */
export function readRawCoverage(folder: string, files: readonly FileCoverage[]): RunCharacters {
  const run = new Map(
    files.map(({ path }) => [pathToFileURL(path).href, new Uint8Array(readFileSync(path, "utf8").length)]),
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

/** Counts everything that another process has run as run, once. */
export function addRawCoverage(file: FileCoverage, run: Uint8Array): void {
  const lines = [0];
  for (const { index } of readFileSync(file.path, "utf8").matchAll(/\n/g)) lines.push(index + 1);
  const offset = ({ line, column }: Place): number | undefined =>
    line === undefined ? undefined : (lines[line - 1] ?? 0) + (column ?? 0);
  const wasRun = (place: Place): boolean => run[offset(place) ?? -1] === 1;
  const statements = Object.values(file.statementMap).map(({ start }) => start);

  /** The branch that is taken when the condition holds: Istanbul gives it the place of the whole `if`. */
  const consequent = ({ start, end }: Span): Place => {
    const [from = 0, to = 0] = [offset(start), offset(end)];
    const inside = statements.filter((place) => (offset(place) ?? 0) > from && (offset(place) ?? 0) < to);
    return inside.toSorted((a, b) => (offset(a) ?? 0) - (offset(b) ?? 0))[0] ?? {};
  };

  for (const [id, { start }] of Object.entries(file.statementMap)) {
    if (wasRun(start)) file.s[id] ||= 1;
  }
  for (const [id, { loc }] of Object.entries(file.fnMap)) {
    if (wasRun(loc.start)) file.f[id] ||= 1;
  }
  for (const [id, { type, locations }] of Object.entries(file.branchMap)) {
    const taken = locations.map((span, index) => wasRun(type === "if" && index === 0 ? consequent(span) : span.start));
    file.b[id] = (file.b[id] ?? []).map((count, index) => (count === 0 && taken[index] === true ? 1 : count));
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
