import { demandSuccess } from "./broker-error.ts";
import type { Cluster } from "./cluster.ts";
import { kafkajs } from "./kafkajs-internals.ts";
import type { KafkajsCall } from "./kafkajs-internals.ts";
import { byLeader, placeName } from "./offsets.ts";

interface PartitionSize {
  readonly topic: string;
  readonly partition: number;
  readonly sizeBytes: number;
}

/** Bytes on the leader's disk of each partition, by `placeName`. */
export async function readLogSizes(
  cluster: Cluster,
  topics: readonly string[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  await cluster.persist(async () => {
    const known = await cluster.refresh(topics);
    const places = known.flatMap(({ name, leaders }) => leaders.map((_, partition) => ({ topic: name, partition })));
    for (const [leader, own] of await byLeader(cluster, places)) {
      const wanted = new Set(own.map(placeName));
      const sizes = (await cluster.send(leader, describeLogDirs(own))) as readonly PartitionSize[];
      for (const size of sizes) {
        if (wanted.has(placeName(size))) found.set(placeName(size), size.sizeBytes);
      }
    }
  }, signal);
  return found;
}

/** DescribeLogDirs, version 1: kafkajs has none. */
function describeLogDirs(places: readonly { readonly topic: string; readonly partition: number }[]): KafkajsCall {
  const topics = Map.groupBy(places, ({ topic }) => topic);
  const encode = (): Promise<InstanceType<typeof kafkajs.Encoder>> => {
    const encoder = new kafkajs.Encoder();
    encoder.writeInt32(topics.size);
    for (const [topic, parts] of topics) {
      encoder.writeString(topic).writeInt32(parts.length);
      for (const { partition } of parts) encoder.writeInt32(partition);
    }
    return Promise.resolve(encoder);
  };
  return {
    request: { apiKey: 35, apiVersion: 1, apiName: "DescribeLogDirs", encode },
    response: { decode: (payload) => Promise.resolve(decode(payload)), parse: (decoded) => Promise.resolve(decoded) },
  };
}

function decode(payload: Buffer): readonly PartitionSize[] {
  let at = 4;
  const int32 = (): number => {
    at += 4;
    return payload.readInt32BE(at - 4);
  };
  const int16 = (): number => {
    at += 2;
    return payload.readInt16BE(at - 2);
  };
  const text = (): string => {
    const length = int16();
    at += length;
    return payload.toString("utf8", at - length, at);
  };
  const sizes: PartitionSize[] = [];
  for (let folders = int32(); folders > 0; folders -= 1) {
    demandSuccess("DescribeLogDirs", int16());
    text();
    for (let topics = int32(); topics > 0; topics -= 1) {
      const topic = text();
      for (let partitions = int32(); partitions > 0; partitions -= 1) {
        const partition = int32();
        const sizeBytes = Number(payload.readBigInt64BE(at));
        // Size, lag, whether it is on its way to another disk.
        at += 8 + 8 + 1;
        sizes.push({ topic, partition, sizeBytes });
      }
    }
  }
  return sizes;
}
