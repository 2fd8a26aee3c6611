import type { TopicPartition } from "@datatrace/core";

import { kafkajs } from "./kafkajs-internals.ts";
import type { KafkajsCall } from "./kafkajs-internals.ts";

export interface FetchPlace extends TopicPartition {
  readonly offset: bigint;
}

export interface FetchLimits {
  readonly maxWaitMs: number;
  readonly maxBytes: number;
  readonly maxPartitionBytes: number;
}

/** What a broker has of one partition. */
export interface FetchAnswer extends TopicPartition {
  readonly errorCode: number;
  /** Transactions that were aborted, of the records in the answer. */
  readonly aborted: readonly AbortedTransaction[];
  /** Record batches, the last perhaps cut off. Shares memory with the answer. */
  readonly bytes: Buffer;
}

export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: bigint;
}

const readCommitted = 1;

/** Fetch, version 11, without a session. Committed records only, in the order of `places` as far as the limits go. */
export function fetchCall(places: readonly FetchPlace[], limits: FetchLimits): KafkajsCall {
  const encode = (): Promise<InstanceType<typeof kafkajs.Encoder>> => {
    const encoder = new kafkajs.Encoder(128 + places.length * 64);
    encoder.writeInt32(-1).writeInt32(limits.maxWaitMs).writeInt32(1).writeInt32(limits.maxBytes);
    encoder.writeInt8(readCommitted).writeInt32(0).writeInt32(-1);
    const runs = topicRuns(places);
    encoder.writeInt32(runs.length);
    for (const run of runs) {
      encoder.writeString(run[0]?.topic ?? "").writeInt32(run.length);
      for (const { partition, offset } of run) {
        encoder.writeInt32(partition).writeInt32(-1);
        encoder.writeBuffer(int64(offset)).writeBuffer(int64(-1n)).writeInt32(limits.maxPartitionBytes);
      }
    }
    encoder.writeInt32(0).writeString("");
    return Promise.resolve(encoder);
  };
  return {
    request: { apiKey: 1, apiVersion: 11, apiName: "Fetch", encode },
    response: {
      decode: (payload) => Promise.resolve(decodeAnswer(payload)),
      parse: (decoded) => Promise.resolve(decoded),
    },
  };
}

/** Neighbours of one topic together: the order decides who is served when not all fit into an answer. */
function topicRuns(places: readonly FetchPlace[]): readonly (readonly FetchPlace[])[] {
  const runs: FetchPlace[][] = [];
  for (const place of places) {
    const last = runs.at(-1);
    if (last !== undefined && last[0]?.topic === place.topic) last.push(place);
    else runs.push([place]);
  }
  return runs;
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}

function decodeAnswer(payload: Buffer): readonly FetchAnswer[] {
  // Throttle time, error code, session id.
  let at = 4 + 2 + 4;
  const int32 = (): number => {
    at += 4;
    return payload.readInt32BE(at - 4);
  };
  const int16 = (): number => {
    at += 2;
    return payload.readInt16BE(at - 2);
  };
  const long = (): bigint => {
    at += 8;
    return payload.readBigInt64BE(at - 8);
  };
  const answers: FetchAnswer[] = [];
  for (let topics = int32(); topics > 0; topics -= 1) {
    const length = int16();
    const topic = payload.toString("utf8", at, at + length);
    at += length;
    for (let partitions = int32(); partitions > 0; partitions -= 1) {
      const partition = int32();
      const errorCode = int16();
      // High watermark, last stable offset, log start offset.
      at += 24;
      const aborted: AbortedTransaction[] = [];
      for (let count = int32(); count > 0; count -= 1) aborted.push({ producerId: long(), firstOffset: long() });
      // Preferred read replica.
      at += 4;
      const size = Math.max(int32(), 0);
      answers.push({ topic, partition, errorCode, aborted, bytes: payload.subarray(at, at + size) });
      at += size;
    }
  }
  return answers;
}
