import { DataTraceError, failpoint, invariant } from "@datatrace/core";
import type { AppendedRange } from "@datatrace/core";

import { BrokerError, codes, isLost } from "./broker-error.ts";
import type { Cluster, Delays } from "./cluster.ts";
import { Production } from "./production.ts";
import type { ProducerIdentity, RecordBatch } from "./record-batch.ts";
import { seal } from "./record-batch.ts";
import { planRounds } from "./rounds.ts";

/** Back to back, the broker still writes the markers of the last transaction when the next one begins. */
const quick: Delays = { firstMs: 1, maxMs: 20 };
const sequenceLimit = 2 ** 31;

/**
 * A transactional id, with the producer id and epoch that it was opened under. Transactions of version 1: what the
 * broker was asked and has not answered may be asked again with the same identity and the same sequence numbers, and it
 * carries it out once. Only that makes the outcome of a commit known whose answer was lost.
 */
export class TransactionalProducer {
  readonly #cluster: Cluster;
  readonly #id: string;
  readonly #identity: ProducerIdentity;
  /** The next sequence number by partition. */
  readonly #sequences = new Map<string, number>();
  #settled = true;

  private constructor(cluster: Cluster, id: string, identity: ProducerIdentity) {
    this.#cluster = cluster;
    this.#id = id;
    this.#identity = identity;
  }

  /** Raises the epoch of the id (I2), and ends what its last owner had begun; waits until that is done. */
  static async open(cluster: Cluster, id: string, signal?: AbortSignal): Promise<TransactionalProducer> {
    const parameters = { transactionalId: id, transactionTimeout: cluster.settings.transactionTimeoutMs };
    const answer = await cluster.persist(
      () =>
        cluster.askCoordinator<{ errorCode: number; producerId: string; producerEpoch: number }>(
          "transaction",
          id,
          "InitProducerId",
          parameters,
          ({ errorCode }) => errorCode,
        ),
      signal,
    );
    const identity = { producerId: BigInt(answer.producerId), producerEpoch: answer.producerEpoch };
    return new TransactionalProducer(cluster, id, identity);
  }

  /** Whether it is known what the broker has of this producer. Otherwise it must not be used again. */
  get settled(): boolean {
    return this.#settled;
  }

  /**
   * All batches in one transaction (I5). A signal counts until the commit is asked for.
   * @throws DataTraceError `log.topic_unknown` when nothing was begun; the signal's reason, `log.fenced` and others when
   * nothing was committed; `log.commit_unknown`.
   */
  async append(batches: readonly RecordBatch[], signal?: AbortSignal): Promise<readonly AppendedRange[]> {
    this.#settled = false;
    await this.#begin(batches, signal);
    const production = new Production(this.#cluster, this.#id);
    try {
      await this.#hand(batches, production, signal);
    } catch (error) {
      await this.#abortRefused(error);
      throw error;
    }
    failpoint("log.before_commit");
    await this.#commit();
    this.#settled = true;
    failpoint("log.after_commit");
    return production.ranges();
  }

  async #hand(batches: readonly RecordBatch[], production: Production, signal: AbortSignal | undefined): Promise<void> {
    for (const [index, round] of planRounds(batches, this.#cluster.settings.maxRequestSizeBytes).entries()) {
      if (index > 0) failpoint("log.mid_append");
      for (const batch of round) seal(batch, this.#identity, this.#takeSequence(batch));
      await production.send(round, signal);
      if (signal?.aborted === true) await this.#giveUp(signal);
    }
  }

  /** A broker has said no, so nothing is on its way any more: readers need not wait for the transaction to time out. */
  async #abortRefused(error: unknown): Promise<void> {
    if (this.#settled || !(error instanceof DataTraceError) || error.retry === "timed") return;
    try {
      await this.#end(false);
    } catch {
      // Whoever opens this id next ends the transaction.
    }
  }

  #takeSequence(batch: RecordBatch): number {
    const name = `${batch.partition} ${batch.topic}`;
    const sequence = this.#sequences.get(name) ?? 0;
    this.#sequences.set(name, (sequence + batch.count) % sequenceLimit);
    return sequence;
  }

  async #begin(batches: readonly RecordBatch[], signal: AbortSignal | undefined): Promise<void> {
    const partitions = new Map<string, Set<number>>();
    for (const { topic, partition } of batches) {
      partitions.set(topic, (partitions.get(topic) ?? new Set()).add(partition));
    }
    const topics = [...partitions].map(([topic, numbers]) => ({ topic, partitions: [...numbers] }));
    try {
      await this.#addPartitions(topics, signal);
    } catch (error) {
      // All partitions are added or none: nothing was begun.
      this.#settled = error instanceof DataTraceError && error.code === "log.topic_unknown";
      throw error;
    }
    if (signal?.aborted === true) await this.#giveUp(signal);
  }

  async #addPartitions(
    topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const parameters = { transactionalId: this.#id, ...this.#wire(), topics };
    await this.#cluster.persist(
      async () => {
        for (const { topic, partitions: numbers } of topics) {
          for (const partition of numbers) await this.#cluster.leader({ topic, partition });
        }
        try {
          await this.#ask<AddPartitionsAnswer>("AddPartitionsToTxn", parameters, firstErrorOf);
        } catch (error) {
          // A topic that is gone: `leader` says so the next time.
          if (error instanceof BrokerError && error.code === codes.unknownTopic) {
            for (const { topic } of topics) this.#cluster.metadata.forget(topic);
          }
          throw error;
        }
      },
      signal,
      quick,
    );
  }

  /** Ends the transaction without its records; this producer can go on. @throws The signal's reason. */
  async #giveUp(signal: AbortSignal): Promise<never> {
    await this.#cluster.persist(() => this.#end(false), undefined, quick);
    this.#settled = true;
    throw signal.reason;
  }

  async #commit(): Promise<void> {
    let unanswered = false;
    try {
      await this.#cluster.persist(
        async () => {
          try {
            await this.#end(true);
          } catch (error) {
            unanswered ||= isLost(error);
            // What the broker refused for now it has not done.
            throw error;
          }
        },
        undefined,
        quick,
      );
    } catch (error) {
      // Fenced after an answer was lost: the commit was carried out before, or never. Only the log itself can tell.
      const refused = error instanceof DataTraceError && error.code === "log.fenced";
      if (unanswered || !refused) throw new DataTraceError("log.commit_unknown", { cause: error });
      throw error;
    }
  }

  async #end(commit: boolean): Promise<void> {
    const parameters = { transactionalId: this.#id, ...this.#wire(), transactionResult: commit };
    await this.#ask<{ errorCode: number }>("EndTxn", parameters, ({ errorCode }) => errorCode);
  }

  async #ask<T>(api: string, parameters: object, codeOf: (answer: T) => number): Promise<T> {
    return await this.#cluster.askCoordinator<T>("transaction", this.#id, api, parameters, codeOf);
  }

  #wire(): { producerId: string; producerEpoch: number } {
    return { producerId: this.#identity.producerId.toString(), producerEpoch: this.#identity.producerEpoch };
  }
}

interface AddPartitionsAnswer {
  readonly errors: readonly { readonly partitionErrors: readonly { readonly errorCode: number }[] }[];
}

/** The cause, not the partitions that were left alone because of it. */
function firstErrorOf({ errors }: AddPartitionsAnswer): number {
  const all = errors.flatMap(({ partitionErrors }) => partitionErrors.map(({ errorCode }) => errorCode));
  invariant(all.length > 0, "an answer names the partitions of its question");
  return all.find((code) => code !== codes.none && code !== codes.operationNotAttempted) ?? Math.max(...all);
}
