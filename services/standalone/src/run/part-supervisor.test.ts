import { DataTraceError } from "@datatrace/core";
import { Health } from "@datatrace/runtime";
import { expect, test } from "vitest";
import { PartSupervisor } from "./part-supervisor.ts";
import type { PartFailure, PartLook, RunPart } from "./run-part.ts";

/** A part whose end the test decides. */
class TestPart implements RunPart {
  readonly name: string;
  readonly role: RunPart["role"];
  readonly end = Promise.withResolvers<void>();
  state: PartLook["state"] = "running";

  constructor(role: RunPart["role"], name: string, stop: AbortSignal) {
    this.role = role;
    this.name = name;
    stop.addEventListener("abort", () => this.end.resolve());
  }

  async run(): Promise<void> {
    await this.end.promise;
  }

  look(): PartLook {
    return { state: this.state, error: null };
  }

  async collect(): Promise<void> {
    // Nothing to count.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing to close.
  }
}

function supervise() {
  const stop = new AbortController();
  const capture = new TestPart("capture", "capture shop", stop.signal);
  const one = new TestPart("delivery", "delivery one", stop.signal);
  const two = new TestPart("delivery", "delivery two", stop.signal);
  const health = new Health();
  const failed: PartFailure[] = [];
  const supervisor = new PartSupervisor([capture, one, two], stop, {
    health,
    failed: (failure) => void failed.push(failure),
  });
  return { stop, capture, one, two, health, failed, supervisor, ended: supervisor.run() };
}

test("a delivery that fails ends alone; when none is left, all end", async () => {
  const { stop, one, two, health, failed, supervisor, ended } = supervise();
  one.end.reject(new DataTraceError("sink.row_rejected"));
  await expect.poll(() => failed.length).toBe(1);
  supervisor.observe();
  expect(stop.signal.aborted).toBe(false);
  expect(health.readiness()).toMatchObject({
    ready: false,
    parts: [{ state: "running" }, { state: "failed", error: { code: "sink.row_rejected" } }, { state: "running" }],
  });
  two.end.reject(new DataTraceError("sink.grant_missing"));
  await ended;
  expect(stop.signal.aborted).toBe(true);
  expect(supervisor.failures.map(({ part }) => part)).toEqual([one, two]);
});

test("a capture that was taken over ends the process", async () => {
  const { stop, capture, ended, failed } = supervise();
  capture.end.reject(new DataTraceError("log.fenced"));
  await ended;
  expect(stop.signal.aborted).toBe(true);
  expect(failed).toHaveLength(1);
});

test("a bug shows as one, without its text", async () => {
  const { capture, ended, supervisor, health } = supervise();
  capture.end.reject(new Error("Key (email)=(planted) exists"));
  await ended;
  supervisor.observe();
  expect(health.readiness().parts[0]).toMatchObject({ state: "failed", error: { code: "internal.bug" } });
  expect(JSON.stringify(health.readiness())).not.toContain("planted");
});

test("parts that were stopped are no failures", async () => {
  const { stop, ended, supervisor } = supervise();
  stop.abort();
  await ended;
  expect(supervisor.failures).toEqual([]);
});
