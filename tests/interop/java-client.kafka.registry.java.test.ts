import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { InteropBed } from "./interop-bed.ts";
import { installLibraries, runJava } from "./java-environment.ts";
import type { ReadRecord, TopicReading } from "./topic-reading.ts";
import { writeTopics } from "./written-topics.ts";

let bed: InteropBed;

// The first run on a machine fetches everything.
beforeAll(async () => {
  await installLibraries();
  bed = await InteropBed.open();
}, 300_000);

afterAll(async () => {
  await bed[Symbol.asyncDispose]();
});

async function read(reading: TopicReading): Promise<readonly ReadRecord[]> {
  return (await runJava("read-topics.java", reading)) as readonly ReadRecord[];
}

describe("Java (Kafka's client, Avro's library, the registry) reads our topics", () => {
  test("I5: every cell of every type, keys, headers and tombstones, and nothing of a transaction that was aborted", async () => {
    const { topics, committed, abortedCount } = await writeTopics(bed);
    const place = { brokers: bed.brokers, registry: bed.registryUrl, topics };
    expect(await read({ ...place, isolation: "read_committed" })).toEqual(committed);
    // They are there, and a reader that does not mind sees them.
    expect(await read({ ...place, isolation: "read_uncommitted" })).toHaveLength(committed.length + abortedCount);
  });
});
