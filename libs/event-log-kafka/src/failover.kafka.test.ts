import { DataTraceError } from "@datatrace/core";
import type { LogReader } from "@datatrace/core";
import { startKafka, waitFor } from "@datatrace/testkit";
import type { KafkaServer } from "@datatrace/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { openKafkaEventLog } from "./kafka-event-log.ts";
import type { KafkaEventLog } from "./kafka-event-log.ts";
import { NumberStream } from "./test-stream.ts";

const partitions = 3;
const deadlineMs = 90_000;

let kafka: KafkaServer | undefined;

beforeAll(async () => {
  kafka = await startKafka({ brokers: 3 });
}, 240_000);

afterAll(async () => {
  await kafka?.[Symbol.asyncDispose]();
});

function cluster(): KafkaServer {
  if (kafka === undefined) throw new Error("the brokers were not started");
  return kafka;
}

async function openLog(): Promise<KafkaEventLog> {
  return await openKafkaEventLog({ brokers: cluster().brokers, requestTimeoutMs: 3000, sessionTimeoutMs: 3000 });
}

/** Reads a topic to where its streams have come, by key and partition, through whatever happens. */
class Collector {
  readonly seen = new Map<string, number[]>();
  readonly #reader: LogReader;
  readonly #topic: string;
  readonly #next = new Map<number, bigint>();
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;

  constructor(reader: LogReader, topic: string) {
    this.#reader = reader;
    this.#topic = topic;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  has(id: string, number: number): boolean {
    return Array.from(
      { length: partitions },
      (_, partition) => this.seen.get(`${id}/${partition}`)?.at(-1) ?? -1,
    ).every((last) => last >= number);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#poll(signal);
      } catch (error) {
        if (!signal.aborted && !(error instanceof DataTraceError && error.retry === "timed")) throw error;
      }
    }
  }

  async #poll(signal: AbortSignal): Promise<void> {
    for (const event of await this.#reader.poll(signal)) {
      if (event.kind === "assigned") {
        for (const place of event.partitions) this.#reader.seek(place, this.#next.get(place.partition) ?? 0n);
      }
      if (event.kind !== "batch") continue;
      for (const { key, value } of event.records) {
        const name = `${Buffer.from(key ?? []).toString()}/${event.partition}`;
        const own = this.seen.get(name) ?? [];
        own.push(Number(Buffer.from(value ?? []).toString()));
        this.seen.set(name, own);
      }
      this.#next.set(event.partition, event.next);
      if (event.topic !== this.#topic) throw new Error("a foreign topic");
    }
  }
}

test.for([
  {
    fault: "a broker is killed",
    strike: async () => {
      await cluster().kill(0);
      return async () => await cluster().start(0);
    },
  },
  {
    fault: "a broker freezes for longer than its session",
    strike: async () => {
      await cluster().freeze(1);
      return async () => await cluster().wake(1);
    },
  },
  {
    fault: "all brokers are killed at once",
    strike: async () => {
      await Promise.all([0, 1, 2].map((broker) => cluster().kill(broker)));
      return async () => {
        await Promise.all([0, 1, 2].map((broker) => cluster().start(broker)));
      };
    },
  },
])(
  "I3, I7: when $fault every acknowledged record is there once, in order, and nothing else",
  { timeout: 300_000 },
  async ({ fault, strike }) => {
    const name = `failover-${fault.replaceAll(/\W+/g, "-")}`;
    await using log = await openLog();
    await using other = await openLog();
    await log.ensureTopic({ name, partitions, cleanup: "delete" });
    await log.ensureTopic({ name: `${name}.state`, partitions: 1, cleanup: "compact" });
    const streams = [log, other].map(
      (own, index) => new NumberStream(own, `writer-${index}-${name}`, name, partitions, `${name}.state`),
    );
    await using reader = await other.openReader(name, [name]);
    const collector = new Collector(reader, name);
    collector.start();
    for (const stream of streams) stream.start();
    const further = async (count: number): Promise<void> => {
      const from = streams.map(({ acknowledged }) => acknowledged);
      await waitFor(() => streams.every(({ acknowledged }, index) => acknowledged >= (from[index] ?? 0) + count), {
        deadlineMs,
        what: `both writers to append ${count} more`,
      });
    };
    await further(50);
    const recover = await strike();
    // With two of three brokers it goes on; with none it waits until they are back.
    if (fault !== "all brokers are killed at once") await further(50);
    await recover();
    await further(50);
    for (const stream of streams) await stream.stop();
    const ids = [0, 1].map((index) => `writer-${index}-${name}`);
    await waitFor(() => ids.every((id, index) => collector.has(id, streams[index]?.acknowledged ?? 0)), {
      deadlineMs,
      what: "the reader to have everything",
    });
    await collector.stop();
    for (const id of ids) {
      for (let partition = 0; partition < partitions; partition += 1) {
        const numbers = collector.seen.get(`${id}/${partition}`) ?? [];
        expect(numbers, `${id} in ${partition}`).toEqual(numbers.map((_, index) => index));
      }
    }
    console.log(
      `${fault}: ${streams.map(({ acknowledged, reopened }) => `${acknowledged} appends, ${reopened} reopened`).join("; ")}`,
    );
  },
);
