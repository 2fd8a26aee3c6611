import { createRequire } from "node:module";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { KafkajsRequestQueue } from "./kafkajs-internals.ts";
import { patchRequestQueue } from "./request-queue-patch.ts";

type Queue = KafkajsRequestQueue & { maxInFlightRequests: number | null; push(request: object): void };
type QueueClass = { readonly prototype: KafkajsRequestQueue } & (new (options: object) => Queue);

const load = createRequire(import.meta.url);
const file = load.resolve("kafkajs/src/network/requestQueue/index.js");

/** The class as it is shipped: loaded anew, because others in this process may have patched it. */
function shipped(): QueueClass {
  delete load.cache[file];
  return load(file) as QueueClass;
}

function patched(): QueueClass {
  const queue = shipped();
  patchRequestQueue(queue);
  return queue;
}

function open(queue: QueueClass): Queue {
  const logger = { debug: () => undefined, warn: () => undefined };
  return new queue({ maxInFlightRequests: null, requestTimeout: 1000, clientId: "c", broker: "b", logger });
}

/** How often the timer of an idle queue fires in a second. */
function timersPerSecond(queue: Queue): number {
  let count = 0;
  const check = queue.checkPendingRequests.bind(queue);
  queue.checkPendingRequests = () => {
    count += 1;
    check();
  };
  // As after every answer.
  queue.checkPendingRequests();
  vi.advanceTimersByTime(1000);
  return count - 1;
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test("an idle connection has no timer, where the shipped one never stops", () => {
  expect(timersPerSecond(open(shipped()))).toBeGreaterThan(500);
  expect(timersPerSecond(open(patched()))).toBe(0);
});

test("a request that is held back by the broker's throttle is sent when that ends, and not before", () => {
  const queue = open(patched());
  queue.throttledUntil = Date.now() + 500;
  let sent = 0;
  const entry = { correlationId: 1, resolve: () => undefined, reject: () => undefined };
  queue.push({
    entry,
    expectResponse: true,
    sendRequest: () => {
      sent += 1;
    },
  });
  vi.advanceTimersByTime(490);
  expect(sent).toBe(0);
  vi.advanceTimersByTime(20);
  expect(sent).toBe(1);
  vi.advanceTimersByTime(1000);
  expect(vi.getTimerCount()).toBe(0);
});
