import type { Spec, SpecState } from "@datatrace/control";
import { DataTraceError } from "@datatrace/core";
import { Health } from "@datatrace/runtime";
import { RecordingLogger, waitFor } from "@datatrace/testkit";
import { expect, test } from "vitest";
import type { PartLook, RunPart } from "../run/run-part.ts";
import { SpecRunner } from "./spec-runner.ts";

function spec(id: string, revision = "1", state: SpecState = "running"): Spec {
  return { id, revision, state, document: {} };
}

const deadline = { deadlineMs: 5_000, intervalMs: 1 };

class IdlePart implements RunPart {
  readonly name = "idle";
  readonly role = "capture";

  async run(): Promise<void> {
    // The bench runs it.
  }

  look(): PartLook {
    return { state: "running", error: null };
  }

  async collect(): Promise<void> {
    // Nothing to count.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing to close.
  }
}

/** Runs parts that do nothing, and keeps what was done, in order. */
class Bench {
  readonly events: string[] = [];
  readonly health = new Health();
  readonly logger = new RecordingLogger();
  readonly runner: SpecRunner;
  /** Ends the next part of a spec in this way. */
  readonly fail = new Map<string, unknown>();
  rejoins = 0;
  fencings = 0;

  constructor(exclusive: boolean) {
    this.runner = new SpecRunner({
      exclusive,
      word: "capture",
      health: this.health,
      hooks: {
        run: (one, started, signal) => this.#run(one, started, signal),
        decommission: async ({ id, revision }) => {
          this.events.push(`decommission ${id} ${revision}`);
          const error = this.#failure(id);
          if (error !== null) throw error;
        },
        fenced: () => {
          this.fencings += 1;
          return this.fencings >= 3;
        },
        rejoin: () => {
          this.rejoins += 1;
        },
        logger: this.logger,
      },
    });
  }

  #failure(id: string): unknown {
    const error = this.fail.get(id) ?? null;
    this.fail.delete(id);
    return error;
  }

  async #run({ id, revision }: Spec, started: (part: RunPart) => void, signal: AbortSignal): Promise<void> {
    this.events.push(`start ${id} ${revision}`);
    const error = this.#failure(id);
    if (error !== null) throw error;
    started(new IdlePart());
    const { promise, resolve } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    // What stops takes its time: nothing else of the spec may run meanwhile.
    await new Promise((done) => setImmediate(done));
    this.events.push(`stop ${id} ${revision}`);
  }

  states(): Readonly<Record<string, string>> {
    this.runner.observe();
    return Object.fromEntries(this.health.readiness().parts.map(({ part, state }) => [part, state]));
  }

  code(id: string): string | undefined {
    this.runner.observe();
    return this.health.readiness().parts.find(({ part }) => part === `capture ${id}`)?.error?.code;
  }
}

const all = (): boolean => true;

test("I2: a spec runs where it is owned, and stops before it is somebody else's", async () => {
  const bench = new Bench(true);
  const specs = [spec("a"), spec("b")];
  bench.runner.settle(specs, (id) => id === "a");
  expect(bench.states()).toEqual({ "capture a": "running" });
  bench.runner.settle(specs, (id) => id === "b");
  await bench.runner.released((id) => id === "b");
  expect(bench.events).toEqual(["start a 1", "start b 1", "stop a 1"]);
  expect(bench.states()).toEqual({ "capture b": "running" });
  await bench.runner.stop();
  expect(bench.events.at(-1)).toBe("stop b 1");
  expect(bench.states()).toEqual({});
});

test("one that every replica runs needs no owner, and is decommissioned by its owner only", async () => {
  const bench = new Bench(false);
  bench.runner.settle([spec("a"), spec("b", "1", "removed")], () => false);
  expect(bench.events).toEqual(["start a 1"]);
  bench.runner.settle([spec("a", "2", "removed"), spec("b", "1", "removed")], (id) => id === "b");
  await waitFor(() => bench.events.length === 3, { ...deadline, what: "both to be seen to" });
  expect(bench.events.toSorted()).toEqual(["decommission b 1", "start a 1", "stop a 1"]);
  await bench.runner.stop();
});

test("I2: a changed spec is run anew, and a removed one is decommissioned, each after the earlier one has stopped", async () => {
  const bench = new Bench(true);
  bench.runner.settle([spec("a", "1")], all);
  bench.runner.settle([spec("a", "1")], all);
  bench.runner.settle([spec("a", "2")], all);
  await waitFor(() => bench.events.includes("start a 2"), { ...deadline, what: "the new revision" });
  bench.runner.settle([spec("a", "3", "removed")], all);
  await waitFor(() => bench.events.includes("decommission a 3"), { ...deadline, what: "the end" });
  expect(bench.events).toEqual(["start a 1", "stop a 1", "start a 2", "stop a 2", "decommission a 3"]);
  await bench.runner.stop();
});

test("what changes in quick succession comes to the newest state", async () => {
  const bench = new Bench(true);
  for (let round = 0; round < 20; round += 1) bench.runner.settle([spec("a", String(round))], () => round % 3 !== 2);
  await waitFor(() => bench.events.at(-1) === "start a 19", { ...deadline, what: "the newest to run" });
  await bench.runner.stop();
  const starts = bench.events.filter((event) => event.startsWith("start")).length;
  expect(bench.events.filter((event) => event.startsWith("stop"))).toHaveLength(starts);
});

test("one that fails leaves the others alone, and is tried again where that helps", async () => {
  const bench = new Bench(true);
  bench.fail.set("a", new DataTraceError("source.connection_lost"));
  bench.fail.set("b", new DataTraceError("source.login_failed"));
  bench.fail.set("c", new Error("Key (email)=(planted) exists"));
  bench.runner.settle([spec("a"), spec("b"), spec("c"), spec("d")], all);
  await waitFor(() => bench.code("c") === "internal.bug", { ...deadline, what: "all to have failed" });
  expect(bench.states()).toEqual({
    "capture a": "retrying",
    "capture b": "failed",
    "capture c": "failed",
    "capture d": "running",
  });
  expect(JSON.stringify(bench.health.readiness())).not.toContain("planted");
  await waitFor(() => bench.states()["capture a"] === "running", { ...deadline, what: "the next try" });
  // Mended by another spec: that is no reason to wait.
  bench.runner.settle([spec("a"), spec("b", "2"), spec("c"), spec("d")], all);
  await waitFor(() => bench.states()["capture b"] === "running", { ...deadline, what: "the mended one" });
  await bench.runner.stop();
});

test("I2: who is fenced opens no writer again on his own account, and asks the group; a third time it ends", async () => {
  const bench = new Bench(true);
  const fence = (): void => void bench.fail.set("a", new DataTraceError("log.fenced"));
  fence();
  bench.runner.settle([spec("a")], all);
  await waitFor(() => bench.rejoins === 1, { ...deadline, what: "it to ask the group" });
  expect(bench.events).toEqual(["start a 1"]);
  // Not ours any more: nothing to ask.
  bench.runner.settle([spec("a")], () => false);
  await bench.runner.released(() => false);
  fence();
  bench.runner.settle([spec("a")], all);
  await waitFor(() => bench.code("a") === "log.fenced", { ...deadline, what: "it to be fenced" });
  bench.runner.settle([spec("a")], () => false);
  await bench.runner.released(() => false);
  expect(bench.rejoins).toBe(1);
  fence();
  bench.runner.settle([spec("a")], all);
  await waitFor(() => bench.code("a") === "log.two_owners", { ...deadline, what: "it to give up" });
  expect(bench.states()).toEqual({ "capture a": "failed" });
  expect(bench.rejoins).toBe(1);
  await bench.runner.stop();
});
