import type { TopicSpec } from "@datatrace/core";

import { BrokerError, codes, demandSuccess } from "./broker-error.ts";
import type { Cluster } from "./cluster.ts";
import { newTopicSettings } from "./topic-settings.ts";

/** As many copies as survive the loss of one broker while writes go on, or as there are brokers. */
const usualReplicas = 3;

export async function replicasFor(cluster: Cluster): Promise<number> {
  if (cluster.settings.replicationFactor !== null) return cluster.settings.replicationFactor;
  if (cluster.metadata.brokerCount === 0) await cluster.refresh(null);
  return Math.min(usualReplicas, cluster.metadata.brokerCount);
}

/** One that is there already is left as it is. @throws BrokerError. */
export async function createTopic(cluster: Cluster, spec: TopicSpec): Promise<void> {
  const replicas = await replicasFor(cluster);
  const answer = await cluster.askController<{ topicErrors: readonly { errorCode: number }[] }>("CreateTopics", {
    topics: [
      {
        topic: spec.name,
        numPartitions: spec.partitions,
        replicationFactor: replicas,
        configEntries: newTopicSettings(spec, replicas, cluster.settings.topicRetentionMs),
      },
    ],
    timeout: cluster.settings.requestTimeoutMs,
  });
  for (const { errorCode } of answer.topicErrors) {
    if (errorCode !== codes.topicExists) demandSuccess("CreateTopics", errorCode);
  }
}

/** Those that are not there are left out. @throws BrokerError. */
export async function removeTopics(cluster: Cluster, names: readonly string[]): Promise<void> {
  const answer = await cluster.askController<{ topicErrors: readonly { errorCode: number }[] }>("DeleteTopics", {
    topics: names,
    timeout: cluster.settings.requestTimeoutMs,
  });
  for (const { errorCode } of answer.topicErrors) {
    if (errorCode !== codes.unknownTopic) demandSuccess("DeleteTopics", errorCode);
  }
  await cluster.refresh(names);
  // It takes a moment until every broker has heard of it.
  if (names.some((name) => cluster.metadata.topic(name) !== undefined)) {
    throw new BrokerError("DeleteTopics", codes.requestTimedOut);
  }
}
