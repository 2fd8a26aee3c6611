import {
  type AppendedRange,
  type CaptureSource,
  DataTraceError,
  type LogRecord,
  type LogWriter,
  type Position,
} from "@datatrace/core";
import { RecordingLogger, waitFor } from "@datatrace/testkit";
import { expect, test } from "vitest";
import type { Draft } from "./draft.ts";
import { LogAppender } from "./log-appender.ts";
import { silentObserver } from "./observer.ts";
import { storedPosition } from "./position-record.ts";
import { TableSet } from "./table-set.ts";
import { UnseenTransactions } from "./unseen-transactions.ts";

interface Pending {
  readonly records: readonly LogRecord[];
  readonly answer: PromiseWithResolvers<readonly AppendedRange[]>;
}

/** An appender whose appends are answered by the test. */
class AppenderBench implements AsyncDisposable {
  readonly appends: Pending[] = [];
  readonly acknowledged: string[] = [];
  readonly logger = new RecordingLogger();
  readonly unseen = new UnseenTransactions();
  readonly appender: LogAppender;
  readonly #stop = new AbortController();
  readonly #running: Promise<unknown>;

  constructor(heartbeatMs = 60_000) {
    const writer: LogWriter = {
      id: "w",
      append: async (records) => {
        const answer = Promise.withResolvers<readonly AppendedRange[]>();
        this.appends.push({ records, answer });
        return await answer.promise;
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
    const source: Pick<CaptureSource, "acknowledge"> = {
      acknowledge: (position) => {
        this.acknowledged.push(position);
      },
    };
    const registry = { register: async () => 1, byId: async () => "" };
    const descriptor = { connector: "postgresql", database: "d", fields: [] };
    this.appender = new LogAppender({
      writer,
      source,
      tables: new TableSet({ descriptor, prefix: "p", registry }, "state", this.logger),
      unseen: this.unseen,
      positionTopic: "position",
      start: { position: at(0), rows: 0n, unseen: [] },
      bounds: { maxRows: 2, maxBytes: 1_000_000 },
      heartbeatMs,
      logger: this.logger,
      observer: silentObserver,
    });
    this.#running = this.appender.run(this.#stop.signal).catch((error: unknown) => error);
  }

  /** One source batch with one event, which ends at this position. */
  async fill(position: number, rows = 1): Promise<void> {
    await this.appender.fill(async (draft) => put(draft, position, rows), this.#stop.signal);
  }

  async appended(count: number): Promise<Pending> {
    return await waitFor(() => this.appends[count - 1] ?? null, {
      deadlineMs: 5000,
      what: `append ${count}`,
      intervalMs: 1,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the test is over"));
    for (const { answer } of this.appends) answer.resolve([]);
    await this.#running;
  }
}

function at(place: number): Position {
  return String(place) as Position;
}

function put(draft: Draft, position: number, rows: number): void {
  for (let row = 0; row < rows; row += 1) {
    draft.records.push({ topic: "t", partition: 0, key: null, value: Uint8Array.of(position) });
  }
  draft.rows += rows;
  draft.position = at(position);
}

function positionOf({ records }: Pending): string | undefined {
  const { value = null } = records.at(-1) ?? {};
  return storedPosition([{ offset: 0n, key: null, value, headers: {} }])?.position;
}

function events({ records }: Pending): readonly (number | undefined)[] {
  return records.filter(({ topic }) => topic === "t").map(({ value }) => value?.[0]);
}

test("I3: an append has the events and the position after them, and no linger", async () => {
  await using it = new AppenderBench();
  await it.fill(1);
  const first = await it.appended(1);
  expect(events(first)).toEqual([1]);
  expect(positionOf(first)).toBe("1");
});

test("the next batch is filled while one is under way, up to its bounds, and goes as soon as it can", async () => {
  await using it = new AppenderBench();
  await it.fill(1);
  const first = await it.appended(1);
  await it.fill(2);
  await it.fill(3);
  let fourth = false;
  const waiting = it.fill(4).then(() => (fourth = true));
  await Promise.resolve();
  expect([it.appends.length, fourth]).toEqual([1, false]);
  first.answer.resolve([]);
  const second = await it.appended(2);
  expect(events(second)).toEqual([2, 3]);
  expect(positionOf(second)).toBe("3");
  await waiting;
  expect(it.appends.length).toBe(2);
});

test("I1: a position is acknowledged when its append is durable, and not before", async () => {
  await using it = new AppenderBench();
  await it.fill(1);
  const first = await it.appended(1);
  await it.fill(2);
  expect(it.acknowledged).toEqual([]);
  first.answer.resolve([]);
  const second = await it.appended(2);
  expect(it.acknowledged).toEqual(["1"]);
  second.answer.resolve([]);
  await waitFor(() => it.acknowledged.length === 2, { deadlineMs: 5000, what: "the second" });
  expect(it.acknowledged).toEqual(["1", "2"]);
});

test("I3: a full or locked log gets the same records again, once", async () => {
  await using it = new AppenderBench();
  await it.fill(1);
  for (const [index, code] of (["log.full", "log.locked", "log.full"] as const).entries()) {
    (await it.appended(index + 1)).answer.reject(new DataTraceError(code));
  }
  const last = await it.appended(4);
  expect(events(last)).toEqual([1]);
  expect(it.acknowledged).toEqual([]);
  last.answer.resolve([]);
  await waitFor(() => it.acknowledged.length === 1, { deadlineMs: 5000, what: "the append" });
  expect(it.logger.of("log takes no append")).toHaveLength(1);
  expect(it.logger.of("log takes appends again")).toHaveLength(1);
});

test("I3: half a batch is never appended", async () => {
  await using it = new AppenderBench();
  const half = Promise.withResolvers<void>();
  const filling = it.appender.fill(async (draft) => {
    put(draft, 1, 1);
    it.appender.wake();
    await half.promise;
    put(draft, 2, 1);
  }, AbortSignal.timeout(5000));
  await new Promise((resolve) => setImmediate(resolve));
  expect(it.appends).toEqual([]);
  half.resolve();
  await filling;
  expect(events(await it.appended(1))).toEqual([1, 2]);
});

test("transactions that nobody has seen are stored with the position", async () => {
  await using it = new AppenderBench();
  it.unseen.deliver(7n);
  await it.fill(1);
  const { value = null } = (await it.appended(1)).records.at(-1) ?? {};
  expect(storedPosition([{ offset: 0n, key: null, value, headers: {} }])?.unseen).toEqual([7n]);
});

test("a position without events waits for the heartbeat, and counts as reached", async () => {
  await using it = new AppenderBench();
  await it.fill(5, 0);
  expect(it.appends).toEqual([]);
  expect(it.appender.reached).toBe("5");
  expect(it.appender.stored.position).toBe("0");
  await using eager = new AppenderBench(0);
  await eager.fill(5, 0);
  expect(positionOf(await eager.appended(1))).toBe("5");
  expect(eager.appender.reached).toBe("0");
});
