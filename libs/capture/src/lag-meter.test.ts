import type { CaptureSource, Position } from "@datatrace/core";
import { expect, test } from "vitest";
import { LagMeter } from "./lag-meter.ts";
import { RateMeter } from "./rate-meter.ts";

const at = (place: number): Position => String(place) as Position;
const source: Pick<CaptureSource, "reached" | "distanceBytes"> = {
  reached: (position, target) => Number(position) >= Number(target),
  distanceBytes: (position, head) => Math.max(0, Number(head) - Number(position)),
};

test("an idle source shows no lag, however old its last transaction is", () => {
  const meter = new LagMeter(source);
  expect(meter.measure(at(10), at(10), 1_000_000, 60_000)).toEqual({ bytes: 0, seconds: 0 });
});

test("lag is the age of the oldest head that is not reached", () => {
  const meter = new LagMeter(source);
  expect(meter.measure(at(10), at(5), 0, 1000)).toEqual({ bytes: 5, seconds: 0 });
  expect(meter.measure(at(20), at(5), 0, 2000)).toEqual({ bytes: 15, seconds: 1 });
  expect(meter.measure(at(30), at(10), 0, 3000)).toEqual({ bytes: 20, seconds: 1 });
  expect(meter.measure(at(30), at(30), 0, 4000)).toEqual({ bytes: 0, seconds: 0 });
});

test("in a backlog from before this process, lag is the age of the last transaction", () => {
  const meter = new LagMeter(source);
  meter.measure(at(100), at(5), 1_000_000, 3_600_000);
  expect(meter.measure(at(100), at(6), 2_000_000, 3_601_000)).toEqual({ bytes: 94, seconds: 3599 });
});

test("a rate follows the counter and ends at zero", () => {
  const meter = new RateMeter();
  meter.measure(0, 0);
  meter.measure(1000, 1000);
  expect(meter.perSecond).toBe(1000);
  for (let second = 2; second < 40; second += 1) meter.measure(1000, second * 1000);
  expect(meter.perSecond).toBe(0);
});
