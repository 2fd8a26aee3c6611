import { invariant } from "@datatrace/core";
import type { AppendedRange } from "@datatrace/core";

import { BrokerError, codes, isLost, passesByItself } from "./broker-error.ts";
import type { Cluster } from "./cluster.ts";
import { produceAnswers, produceCall } from "./produce-request.ts";
import type { ProduceAnswer } from "./produce-request.ts";
import type { RecordBatch } from "./record-batch.ts";

/**
 * Hands sealed batches to the leaders of their partitions, until each has answered that it has its batch. A batch whose
 * answer was lost is sent again as it is: its sequence number keeps it from being there twice (I3).
 */
export class Production {
  readonly #cluster: Cluster;
  readonly #transactionalId: string | null;
  readonly #ranges = new Map<string, { topic: string; partition: number; first: bigint; last: bigint }>();

  constructor(cluster: Cluster, transactionalId: string | null) {
    this.#cluster = cluster;
    this.#transactionalId = transactionalId;
  }

  /** Where all that was sent came to lie. */
  ranges(): readonly AppendedRange[] {
    return [...this.#ranges.values()];
  }

  /** At most one batch of a partition. @throws BrokerError, DataTraceError `log.connection_lost`. */
  async send(batches: readonly RecordBatch[], signal?: AbortSignal): Promise<void> {
    const pending = new Map(batches.map((batch) => [nameOf(batch), batch]));
    invariant(pending.size === batches.length, "a request has one batch of a partition");
    await this.#cluster.persist(() => this.#attempt(pending), signal);
  }

  async #attempt(pending: Map<string, RecordBatch>): Promise<void> {
    const byLeader = new Map<number, RecordBatch[]>();
    for (const batch of pending.values()) {
      const leader = await this.#cluster.leader(batch);
      const list = byLeader.get(leader);
      if (list === undefined) byLeader.set(leader, [batch]);
      else list.push(batch);
    }
    const failures = await Promise.all([...byLeader].map(([leader, list]) => this.#sendTo(leader, list, pending)));
    const failed = failures.filter((failure) => failure !== null);
    // What does not pass by itself is told first.
    const worst = failed.find((error) => error instanceof BrokerError && !passesByItself(error.code)) ?? failed[0];
    if (worst !== undefined) throw worst;
    invariant(pending.size === 0, "every batch was answered for");
  }

  async #sendTo(
    leader: number,
    batches: readonly RecordBatch[],
    pending: Map<string, RecordBatch>,
  ): Promise<Error | null> {
    const { requestTimeoutMs } = this.#cluster.settings;
    let answers: readonly ProduceAnswer[];
    try {
      const call = produceCall(this.#transactionalId, batches, requestTimeoutMs);
      answers = produceAnswers(await this.#cluster.send(leader, call));
    } catch (error) {
      for (const { topic } of batches) this.#cluster.metadata.forget(topic);
      if (isLost(error) && error instanceof Error) return error;
      throw error;
    }
    let failure: Error | null = null;
    for (const answer of answers) {
      const batch = pending.get(nameOf(answer));
      if (answer.errorCode !== codes.none) {
        this.#cluster.metadata.forget(answer.topic);
        const error = new BrokerError("Produce", answer.errorCode);
        if (failure === null || !passesByItself(answer.errorCode)) failure = error;
      } else if (batch !== undefined) {
        pending.delete(nameOf(answer));
        this.#note(batch, answer.baseOffset);
      }
    }
    return failure;
  }

  #note({ topic, partition, count }: RecordBatch, base: bigint): void {
    const last = base + BigInt(count) - 1n;
    const range = this.#ranges.get(nameOf({ topic, partition }));
    if (range === undefined) this.#ranges.set(nameOf({ topic, partition }), { topic, partition, first: base, last });
    else range.last = last;
  }
}

function nameOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${partition} ${topic}`;
}
