import { expect, test } from "vitest";

import type { RecordBatch } from "./record-batch.ts";
import { planRounds } from "./rounds.ts";

function batch(partition: number, sizeBytes: number): RecordBatch {
  return { topic: "t", partition, bytes: Buffer.alloc(sizeBytes), count: 1 };
}

test("I4: a request has one batch of a partition, later ones come later", () => {
  const all = [batch(0, 1), batch(0, 2), batch(1, 3), batch(0, 4), batch(1, 5)];
  const rounds = planRounds(all, 1000);
  expect(rounds.map((round) => round.map(({ bytes }) => bytes.byteLength))).toEqual([[1, 3], [2, 5], [4]]);
});

test("I4: a request that is full sends what follows into later ones, in order", () => {
  const all = [batch(0, 60), batch(1, 60), batch(1, 10), batch(0, 10), batch(2, 200)];
  const rounds = planRounds(all, 100);
  const order = (partition: number): number[] =>
    rounds.flatMap((round) => round.filter((one) => one.partition === partition).map(({ bytes }) => bytes.byteLength));
  expect([order(0), order(1), order(2)]).toEqual([[60, 10], [60, 10], [200]]);
  for (const round of rounds) {
    expect(round.length === 1 || round.reduce((sum, { bytes }) => sum + bytes.byteLength, 0) <= 100).toBe(true);
    expect(new Set(round.map(({ partition }) => partition)).size).toBe(round.length);
  }
});
