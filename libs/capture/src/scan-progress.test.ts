import type { KeyRange } from "@datatrace/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { nothingRead, ScanProgress } from "./scan-progress.ts";

const boundary = (n: number) => (n === 0 ? null : [n]);
/** Range n of `count`: the last has an open end. */
const range = (n: number, count: number): KeyRange => ({ after: boundary(n), upTo: n === count - 1 ? null : [n + 1] });

function covered(stored: ReturnType<ScanProgress["stored"]>, count: number): Set<number> {
  const numbers = new Set<number>();
  const add = (from: number, to: number) => {
    for (let n = from; n < to; n += 1) numbers.add(n);
  };
  add(0, stored.upTo === null ? 0 : Number(stored.upTo[0]));
  for (const { after, upTo } of stored.ahead) add(after === null ? 0 : Number(after[0]), upTo === null ? count : Number(upTo[0]));
  return numbers;
}

test("I7: whatever order chunks finish in, and wherever it stops, exactly the unpublished ranges are read again", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.array(fc.record({ pick: fc.nat(), inFlight: fc.integer({ min: 1, max: 4 }), restart: fc.boolean() }), {
        minLength: 30,
        maxLength: 60,
      }),
      (count, steps) => {
        let progress = new ScanProgress(nothingRead);
        const done = new Set<number>();
        let inFlight: KeyRange[] = [];
        for (const { pick, inFlight: wanted, restart } of steps) {
          while (inFlight.length < wanted && !progress.fullyPlanned) {
            const planned = range(Number(progress.planFrom?.[0] ?? 0), count);
            progress.plan(planned);
            inFlight.push(planned);
          }
          if (inFlight.length > 0) {
            const [finished] = inFlight.splice(pick % inFlight.length, 1);
            if (finished !== undefined) {
              progress.finish(finished);
              const from = Number(finished.after?.[0] ?? 0);
              const to = finished.upTo === null ? count : Number(finished.upTo[0]);
              for (let n = from; n < to; n += 1) {
                expect(done.has(n)).toBe(false);
                done.add(n);
              }
            }
          }
          if (!progress.finished) expect(covered(progress.stored(), count)).toEqual(done);
          expect(progress.finished).toBe(done.size === count);
          if (restart && !progress.finished) {
            progress = new ScanProgress(JSON.parse(JSON.stringify(progress.stored())));
            inFlight = [...progress.gaps];
          }
        }
      },
    ),
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
