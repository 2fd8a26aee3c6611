import type { KeyRange } from "@datatrace/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { nothingRead, ScanProgress } from "./scan-progress.ts";

const boundary = (n: number) => (n === 0 ? null : [n]);
/** Range n of `count`: the last has an open end. */
const range = (n: number, count: number): KeyRange => ({ after: boundary(n), upTo: n === count - 1 ? null : [n + 1] });

function covered(stored: ReturnType<ScanProgress["stored"]>, count: number): Set<number> {
  const front = stored.upTo === null ? [] : numbers({ after: null, upTo: [Number(stored.upTo[0])] }, count);
  const ahead = stored.ahead.flatMap(({ after, upTo }) =>
    numbers(
      { after: after === null ? null : [Number(after[0])], upTo: upTo === null ? null : [Number(upTo[0])] },
      count,
    ),
  );
  return new Set([...front, ...ahead]);
}

const steps = fc.array(fc.record({ pick: fc.nat(), inFlight: fc.integer({ min: 1, max: 4 }), restart: fc.boolean() }), {
  minLength: 30,
  maxLength: 60,
});

function numbers({ after, upTo }: KeyRange, count: number): readonly number[] {
  const from = Number(after?.[0] ?? 0);
  return Array.from({ length: (upTo === null ? count : Number(upTo[0])) - from }, (_, n) => from + n);
}

test("I7: whatever order chunks finish in, and wherever it stops, exactly the unpublished ranges are read again", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), steps, (count, moves) => {
      let progress = new ScanProgress(nothingRead);
      const published: number[] = [];
      let inFlight: KeyRange[] = [];
      for (const { pick, inFlight: wanted, restart } of moves) {
        while (inFlight.length < wanted && !progress.fullyPlanned) {
          const planned = range(Number(progress.planFrom?.[0] ?? 0), count);
          progress.plan(planned);
          inFlight.push(planned);
        }
        for (const finished of inFlight.splice(pick % Math.max(1, inFlight.length), 1)) {
          progress.finish(finished);
          published.push(...numbers(finished, count));
        }
        const all = new Set(published);
        expect(published.length).toBe(all.size);
        expect(progress.finished).toBe(all.size === count);
        if (progress.finished) return;
        expect(covered(progress.stored(), count)).toEqual(all);
        if (restart) {
          progress = new ScanProgress(JSON.parse(JSON.stringify(progress.stored())));
          inFlight = [...progress.gaps];
        }
      }
      while (!progress.fullyPlanned) {
        const planned = range(Number(progress.planFrom?.[0] ?? 0), count);
        progress.plan(planned);
        inFlight.push(planned);
      }
      for (const finished of inFlight) {
        progress.finish(finished);
        published.push(...numbers(finished, count));
      }
      expect(progress.finished).toBe(true);
      expect(published.toSorted((a, b) => a - b)).toEqual(numbers({ after: null, upTo: null }, count));
    }),
  );
});

test("what is stored does not grow while one chunk waits", () => {
  const progress = new ScanProgress(nothingRead);
  const ranges = Array.from({ length: 50 }, (_, n) => range(n, 100));
  for (const planned of ranges) progress.plan(planned);
  for (const finished of ranges.slice(1)) progress.finish(finished);
  expect(progress.stored()).toEqual({ upTo: null, ahead: [{ after: [1], upTo: [50] }] });
  progress.finish(ranges[0]!);
  expect(progress.stored()).toEqual({ upTo: [50], ahead: [] });
});
