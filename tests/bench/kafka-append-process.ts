import { createRequire } from "node:module";
import type { LogRecord } from "@datatrace/core";
import { openKafkaEventLog } from "@datatrace/event-log-kafka";
import type { Message } from "kafkajs";

// node kafka-append-process.ts MODE BROKERS TOPIC ROWS BATCH BYTES: appends ROWS records of BYTES to the three
// partitions of TOPIC, BATCH in each transaction with a position in TOPIC.state, and prints the milliseconds. MODE is
// `adapter`; `kafkajs`, its producer as it is shipped; or `kafkajs-patched`, the same with a linear grouping of messages.

const [, , mode = "", brokerList = "", topic = "", rowsText = "", batchText = "", bytesText = ""] = process.argv;
const brokers = brokerList.split(",");
const [rows, batchRows, recordBytes] = [Number(rowsText), Number(batchText), Number(bytesText)];
const partitions = 3;
const positionKey = Buffer.from("position");

/** Encoded before the clock runs, as if Avro cost nothing. */
const keys = Array.from({ length: batchRows }, (_, index) => Buffer.from(String(index).padStart(16, "0")));
const values = Array.from({ length: batchRows }, (_, index) => Buffer.alloc(recordBytes - 16, index % 256));

async function throughAdapter(append: number): Promise<number> {
  await using log = await openKafkaEventLog({ brokers });
  await using writer = await log.openWriter(`${topic}-${mode}`);
  const records = (position: number): LogRecord[] => [
    { topic: `${topic}.state`, partition: 0, key: positionKey, value: Buffer.from(String(position)) },
    ...keys.map((key, index): LogRecord => ({
      topic,
      partition: index % partitions,
      key,
      value: values[index] ?? null,
    })),
  ];
  await writer.append(records(0));
  const begunMs = performance.now();
  for (let done = 0; done < append; done += batchRows) await writer.append(records(done));
  return performance.now() - begunMs;
}

/** What kafkajs does for each message with a copy of all before it. */
function groupLinearly({ messages }: { readonly messages: readonly Message[] }): Record<number, Message[]> {
  const groups: Record<number, Message[]> = {};
  for (const message of messages) (groups[message.partition ?? 0] ??= []).push(message);
  return groups;
}

async function throughKafkajs(append: number): Promise<number> {
  const load = createRequire(import.meta.url);
  if (mode === "kafkajs-patched") {
    const file = load.resolve("kafkajs/src/producer/groupMessagesPerPartition.js");
    load(file);
    const loaded = load.cache[file];
    if (loaded !== undefined) loaded.exports = groupLinearly;
  }
  const { Kafka, logLevel, Partitioners } = load("kafkajs") as typeof import("kafkajs");
  const producer = new Kafka({ brokers, logLevel: logLevel.NOTHING }).producer({
    transactionalId: `${topic}-${mode}`,
    createPartitioner: Partitioners.DefaultPartitioner,
    // A transaction that follows at once is refused until the markers of the last are written.
    retry: { initialRetryTime: 2, multiplier: 1, factor: 0, retries: 1_000 },
  });
  await producer.connect();
  const send = async (position: number): Promise<void> => {
    const transaction = await producer.transaction();
    await transaction.sendBatch({
      topicMessages: [
        { topic: `${topic}.state`, messages: [{ partition: 0, key: positionKey, value: String(position) }] },
        {
          topic,
          messages: keys.map((key, index) => ({ partition: index % partitions, key, value: values[index] ?? null })),
        },
      ],
    });
    await transaction.commit();
  };
  await send(0);
  const begunMs = performance.now();
  for (let done = 0; done < append; done += batchRows) await send(done);
  const takenMs = performance.now() - begunMs;
  await producer.disconnect();
  return takenMs;
}

const takenMs = mode === "adapter" ? await throughAdapter(rows) : await throughKafkajs(rows);
const { user, system } = process.cpuUsage();
process.stdout.write(
  JSON.stringify({ takenMs, cpuSeconds: (user + system) / 1e6, rssMiB: process.memoryUsage().rss / 2 ** 20 }),
);
