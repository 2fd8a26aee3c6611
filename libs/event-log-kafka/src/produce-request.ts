import type { TopicPartition } from "@datatrace/core";

import { kafkajs } from "./kafkajs-internals.ts";
import type { KafkajsCall } from "./kafkajs-internals.ts";
import type { RecordBatch } from "./record-batch.ts";

/** Where a batch came to lie, or the error code. */
export interface ProduceAnswer extends TopicPartition {
  readonly errorCode: number;
  readonly baseOffset: bigint;
}

const allReplicas = -1;

/**
 * Produce, version 7, of batches that are encoded and sealed: at most one of a partition, which is what a broker takes.
 * `transactionalId` is null outside of a transaction.
 */
export function produceCall(
  transactionalId: string | null,
  batches: readonly RecordBatch[],
  timeoutMs: number,
): KafkajsCall {
  const topics = Map.groupBy(batches, (batch) => batch.topic);
  const encode = (): Promise<InstanceType<typeof kafkajs.Encoder>> => {
    const encoder = new kafkajs.Encoder(batches.reduce((sum, { bytes }) => sum + bytes.byteLength + 64, 256));
    encoder.writeString(transactionalId).writeInt16(allReplicas).writeInt32(timeoutMs).writeInt32(topics.size);
    for (const [topic, parts] of topics) {
      encoder.writeString(topic).writeInt32(parts.length);
      for (const { partition, bytes } of parts) {
        encoder.writeInt32(partition).writeInt32(bytes.byteLength).writeBuffer(bytes);
      }
    }
    return Promise.resolve(encoder);
  };
  return {
    request: { apiKey: 0, apiVersion: 7, apiName: "Produce", encode },
    response: kafkajs.produceResponse,
  };
}

interface DecodedAnswer {
  readonly topics: readonly {
    readonly topicName: string;
    readonly partitions: readonly {
      readonly partition: number;
      readonly errorCode: number;
      readonly baseOffset: string;
    }[];
  }[];
}

export function produceAnswers(decoded: unknown): readonly ProduceAnswer[] {
  return (decoded as DecodedAnswer).topics.flatMap(({ topicName, partitions }) =>
    partitions.map(({ partition, errorCode, baseOffset }) => ({
      topic: topicName,
      partition,
      errorCode,
      baseOffset: BigInt(baseOffset),
    })),
  );
}
