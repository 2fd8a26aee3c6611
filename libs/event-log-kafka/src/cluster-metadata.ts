import { codes } from "./broker-error.ts";

/** A topic that exists. */
export interface TopicMetadata {
  readonly name: string;
  /** The leader of each partition, -1 while there is none. */
  readonly leaders: readonly number[];
  /** Replicas of the partition that has the fewest. */
  readonly replicas: number;
}

interface Answer {
  readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[];
  readonly controllerId: number;
  readonly topicMetadata: readonly {
    readonly topicErrorCode: number;
    readonly topic: string;
    readonly partitionMetadata: readonly {
      readonly partitionId: number;
      readonly leader: number;
      readonly replicas: readonly number[];
    }[];
  }[];
}

/** What brokers have said about the cluster, until they say something else. */
export class ClusterMetadata {
  readonly #topics = new Map<string, TopicMetadata>();
  #controller: number | null = null;
  #brokerCount = 0;

  get controller(): number | null {
    return this.#controller;
  }

  get brokerCount(): number {
    return this.#brokerCount;
  }

  topic(name: string): TopicMetadata | undefined {
    return this.#topics.get(name);
  }

  /** It is asked for again before it is used. */
  forget(name: string): void {
    this.#topics.delete(name);
  }

  /** `asked` are the topics of the question, null for all. */
  take(answer: Answer, asked: readonly string[] | null): readonly TopicMetadata[] {
    this.#controller = answer.controllerId < 0 ? null : answer.controllerId;
    this.#brokerCount = answer.brokers.length;
    if (asked === null) this.#topics.clear();
    for (const name of asked ?? []) this.#topics.delete(name);
    const found = answer.topicMetadata
      // A topic of which some partition has no leader is there all the same.
      .filter(({ topicErrorCode: code }) => code === codes.none || code === codes.leaderNotAvailable)
      .map(({ topic, partitionMetadata }): TopicMetadata => {
        const partitions = partitionMetadata.toSorted((one, other) => one.partitionId - other.partitionId);
        return {
          name: topic,
          leaders: partitions.map(({ leader }) => leader),
          replicas: Math.min(...partitions.map(({ replicas }) => replicas.length)),
        };
      })
      .filter(({ leaders }) => leaders.length > 0);
    for (const topic of found) this.#topics.set(topic.name, topic);
    return found;
  }
}
