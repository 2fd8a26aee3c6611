import { randomUUID } from "node:crypto";
import { DataTraceError } from "@datatrace/core";
import type { ErrorCode, EventLog, LogRecord, TopicIdentity } from "@datatrace/core";
import { afterAll, beforeAll, expect } from "vitest";
import type { CreateEventLog, EventLogHarness } from "./event-log-harness.ts";

/** One storage with one client for all cases of a `describe`: cases keep apart by the names of their topics. */
export interface SharedLog {
  readonly harness: EventLogHarness;
  readonly log: EventLog;
}

export function sharedLog(create: CreateEventLog): SharedLog {
  let harness: EventLogHarness | undefined;
  let log: EventLog | undefined;
  beforeAll(async () => {
    harness = await create();
    log = await harness.open();
  });
  afterAll(async () => {
    await log?.[Symbol.asyncDispose]();
    await harness?.[Symbol.asyncDispose]();
  });
  function opened<T>(value: T | undefined): T {
    if (value === undefined) throw new Error("the log was not opened");
    return value;
  }
  return {
    get harness() {
      return opened(harness);
    },
    get log() {
      return opened(log);
    },
  };
}

/** A name that no other case uses. */
export function unique(name: string): string {
  return `${name}-${randomUUID().slice(0, 8)}`;
}

/** A new topic of a unique name. */
export function newTopic(
  log: EventLog,
  cleanup: "delete" | "compact" = "delete",
  partitions = 1,
): Promise<TopicIdentity> {
  return log.ensureTopic({ name: unique("topic"), partitions, cleanup });
}

/** A record with text for bytes. */
export function textRecord(topic: string, value: string | null, key: string | null = null, partition = 0): LogRecord {
  return {
    topic,
    partition,
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
  };
}

/** Expects a rejection with this code, and returns it. */
export async function expectCode(promise: Promise<unknown>, code: ErrorCode): Promise<DataTraceError> {
  const error: unknown = await promise.then(
    () => new Error("it did not fail"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DataTraceError);
  const failure = error as DataTraceError;
  expect(failure.code).toBe(code);
  return failure;
}
