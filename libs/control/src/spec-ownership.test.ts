import type { EventLog } from "@datatrace/core";
import { openSqliteEventLog } from "@datatrace/event-log-sqlite";
import { RecordingLogger, temporaryDirectory, waitFor } from "@datatrace/testkit";
import { expect, test } from "vitest";
import { specTopic } from "./control-topics.ts";
import { SpecOwnership } from "./spec-ownership.ts";

const ids = Array.from({ length: 40 }, (_, index) => `pipeline.source${index}`);

/** A replica, with how often it was told of a change, and what it held when it was asked to let go. */
class Replica implements AsyncDisposable {
  readonly ownership: SpecOwnership;
  readonly stop = new AbortController();
  readonly held: number[] = [];
  readonly #running: Promise<void>;
  changes = 0;

  constructor(log: EventLog) {
    this.ownership = new SpecOwnership({
      log,
      kind: "captures",
      service: "postgres",
      logger: new RecordingLogger(),
      changed: () => (this.changes += 1),
      released: async () => void this.held.push(this.owned.length),
    });
    this.#running = this.ownership.run(this.stop.signal);
  }

  get owned(): readonly string[] {
    return ids.filter((id) => this.ownership.owns(id));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    await this.#running;
  }
}

test("I2: replicas share the specs without a rest and without an overlap, and take over from one that leaves", async () => {
  await using folder = await temporaryDirectory("spec-ownership");
  await using log = await openSqliteEventLog({ directory: folder.path });
  await log.ensureTopic(specTopic("captures"));
  await using one = new Replica(log);
  const all = async (replicas: readonly Replica[]) =>
    await waitFor(
      () => {
        const owned = replicas.flatMap((replica) => replica.owned);
        return owned.length === ids.length && new Set(owned).size === ids.length;
      },
      { deadlineMs: 10_000, what: "every spec to have one owner" },
    );
  await all([one]);
  const other = new Replica(log);
  await waitFor(() => other.owned.length > 0, { deadlineMs: 10_000, what: "the other to own some" });
  await all([one, other]);
  expect(one.owned.length).toBeGreaterThan(0);
  await other[Symbol.asyncDispose]();
  expect(other.owned).toEqual([]);
  await all([one]);
});

test("I2: who rejoins lets go of everything before, and owns only what it is given anew", async () => {
  await using folder = await temporaryDirectory("spec-ownership");
  await using log = await openSqliteEventLog({ directory: folder.path });
  await log.ensureTopic(specTopic("captures"));
  await using one = new Replica(log);
  await waitFor(() => one.owned.length === ids.length, { deadlineMs: 10_000, what: "it to own all" });
  const before = one.changes;
  one.ownership.rejoin();
  await waitFor(() => one.held.length === 1, { deadlineMs: 10_000, what: "it to let go" });
  expect(one.held).toEqual([0]);
  await waitFor(() => one.owned.length === ids.length, { deadlineMs: 10_000, what: "it to own all again" });
  expect(one.changes).toBeGreaterThan(before + 1);
});
