import { expect, test } from "vitest";
import { BackOff, pause } from "./back-off.ts";

test("doubles up to the cap, a quarter more or less, for ever", () => {
  const backOff = new BackOff({ firstMs: 100, maxMs: 10_000 });
  for (let attempt = 0; attempt < 2000; attempt += 1) {
    const fullMs = Math.min(100 * 2 ** Math.min(attempt, 30), 10_000);
    const waitMs = backOff.nextMs();
    expect(waitMs).toBeGreaterThanOrEqual(fullMs * 0.75);
    expect(waitMs).toBeLessThanOrEqual(fullMs * 1.25);
  }
  expect(backOff.attempts).toBe(2000);
  backOff.reset();
  expect(backOff.nextMs()).toBeLessThanOrEqual(125);
});

test("partitions that fail together do not come back together", () => {
  const waits = Array.from({ length: 50 }, () => new BackOff({ firstMs: 1000, maxMs: 1000 }).nextMs());
  expect(new Set(waits).size).toBeGreaterThan(40);
});

test("a wait ends with the signal's own reason", async () => {
  const stop = new AbortController();
  const waiting = pause(60_000, stop.signal);
  const reason = new Error("stopped");
  stop.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(pause(60_000, stop.signal)).rejects.toBe(reason);
});
