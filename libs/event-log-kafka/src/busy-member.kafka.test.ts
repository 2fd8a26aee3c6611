import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { testKafka, waitFor } from "@datatrace/testkit";
import type { TestKafka } from "@datatrace/testkit";
import { Probe } from "@datatrace/testkit/suites";
import { afterAll, beforeAll, expect, test } from "vitest";

import { Cluster } from "./cluster.ts";
import { GroupMember } from "./group-member.ts";
import { openKafkaEventLog } from "./kafka-event-log.ts";
import type { KafkaEventLog } from "./kafka-event-log.ts";
import { settingsOf } from "./kafka-options.ts";

const sessionTimeoutMs = 2000;

let kafka: TestKafka | undefined;
let log: KafkaEventLog | undefined;

beforeAll(async () => {
  kafka = await testKafka();
  const controlPrefix = `busy-${randomUUID().slice(0, 8)}`;
  log = await openKafkaEventLog({ brokers: kafka.brokers, controlPrefix, sessionTimeoutMs });
}, 180_000);

afterAll(async () => {
  await log?.[Symbol.asyncDispose]();
  await kafka?.[Symbol.asyncDispose]();
});

function opened(): KafkaEventLog {
  if (log === undefined) throw new Error("the log was not opened");
  return log;
}

async function newTopic(): Promise<string> {
  const name = `busy-${randomUUID().slice(0, 8)}`;
  await opened().ensureTopic({ name, partitions: 1, cleanup: "delete" });
  return name;
}

/** Nothing of this process runs meanwhile, no timer and no answer. */
function holdUpProcess(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test("I2, I7: a process that was held up for longer than its session is told, and goes on where it was", async () => {
  const topic = await newTopic();
  await using writer = await opened().openWriter(topic);
  const value = Buffer.alloc(1000, "x");
  await writer.append(Array.from({ length: 40_000 }, () => ({ topic, partition: 0, key: null, value })));
  await using probe = await Probe.open(opened(), topic, [topic]);
  await probe.until(() => probe.seen.length > 0, "the first records");
  const kinds: string[] = [];
  holdUpProcess(1.5 * sessionTimeoutMs);
  const signal = AbortSignal.timeout(30_000);
  while (probe.seen.length < 40_000 || !kinds.includes("assigned")) {
    kinds.push(...(await probe.poll(signal)).map(({ kind }) => kind));
  }
  expect(kinds.filter((kind) => kind !== "batch")).toEqual(["revoked", "assigned"]);
  // The probe refuses what lies before where it was.
  expect(probe.seen.length).toBe(40_000);
});

test("a broker that is slow to tell of topics does not cost a member its partitions", async () => {
  const topic = await newTopic();
  await using cluster = new Cluster(settingsOf({ brokers: kafka?.brokers ?? [], sessionTimeoutMs }));
  await using other = new Cluster(cluster.settings);
  const refresh = cluster.refresh.bind(cluster);
  const ask = cluster.askCoordinator.bind(cluster);
  let isSlow = false;
  let looks = 0;
  let beats = 0;
  cluster.refresh = async (topics) => {
    looks += 1;
    if (isSlow) await delay(2 * sessionTimeoutMs);
    return await refresh(topics);
  };
  cluster.askCoordinator = async (kind, key, api, parameters, codeOf) => {
    const answer = await ask(kind, key, api, parameters, codeOf);
    if (api === "Heartbeat") beats += 1;
    return answer;
  };
  const held: number[] = [];
  const failures: unknown[] = [];
  const member = new GroupMember(cluster, topic, [topic], {
    assigned: (partitions) => held.push(partitions.length),
    failed: (error) => failures.push(error),
  });
  try {
    await waitFor(() => held.length > 0, { deadlineMs: 30_000, what: "the assignment" });
    isSlow = true;
    const asked = looks;
    // The second look comes when the first has been answered: later than the session would have ended.
    await waitFor(() => looks >= asked + 2, { deadlineMs: 30_000, what: "a slow answer" });
    const answered = beats;
    await waitFor(() => beats >= answered + 2, { deadlineMs: 30_000, what: "more heartbeats" });
    expect(held).toEqual([1]);
    expect(failures).toEqual([]);
  } finally {
    await member.close(other);
  }
});
