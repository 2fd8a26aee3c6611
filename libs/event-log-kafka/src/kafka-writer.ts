import { DataTraceError, invariant } from "@datatrace/core";
import type { AppendedRange, LogRecord, LogWriter } from "@datatrace/core";

import type { Cluster } from "./cluster.ts";
import { encodeBatches } from "./record-batch.ts";
import type { RecordBatch } from "./record-batch.ts";
import type { SpaceLimit } from "./space-limit.ts";
import { maxMessageBytes } from "./topic-settings.ts";
import { TransactionalProducer } from "./transactional-producer.ts";

/** Half of what a topic takes: one batch is what all records of a partition in a request become. */
const maxBatchBytes = maxMessageBytes / 2;

/** What a caller can do something about; the rest says that the writer has to be opened again. */
const told: ReadonlySet<string> = new Set([
  "internal.bug",
  "log.fenced",
  "log.full",
  "log.grant_missing",
  "log.record_too_large",
  "log.topic_unknown",
]);

/** A writer id with its producer. Fail-stop: after an error that leaves anything open it refuses to be used again. */
export class KafkaWriter implements LogWriter {
  readonly id: string;
  readonly #cluster: Cluster;
  readonly #producer: TransactionalProducer;
  readonly #space: SpaceLimit | null;
  #busy = false;
  #closed = false;
  #refused: DataTraceError | null = null;
  #forget: (() => void) | null = null;

  private constructor(id: string, cluster: Cluster, producer: TransactionalProducer, space: SpaceLimit | null) {
    this.id = id;
    this.#cluster = cluster;
    this.#producer = producer;
    this.#space = space;
  }

  /** Takes the cluster over: it is closed with the writer. */
  static async open(
    cluster: Cluster,
    id: string,
    space: SpaceLimit | null,
    signal?: AbortSignal,
  ): Promise<KafkaWriter> {
    try {
      return new KafkaWriter(id, cluster, await TransactionalProducer.open(cluster, id, signal), space);
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  async append(records: readonly LogRecord[], signal?: AbortSignal): Promise<readonly AppendedRange[]> {
    if (this.#closed) throw new DataTraceError("log.closed");
    if (this.#refused !== null) throw this.#refused;
    signal?.throwIfAborted();
    invariant(!this.#busy, "one append at a time per writer");
    if (records.length === 0) return [];
    this.#busy = true;
    try {
      const batches = encodeBatches(records, maxBatchBytes);
      demandFit(batches);
      await this.#space?.demand(batches, signal);
      const ranges = await this.#producer.append(batches, signal);
      this.#space?.note(batches, ranges);
      return ranges;
    } catch (error) {
      throw this.#judged(error, signal);
    } finally {
      this.#busy = false;
    }
  }

  /** Whoever keeps it lets go of it then. */
  whenClosed(forget: () => void): void {
    this.#forget = forget;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#forget?.();
    await this.#cluster[Symbol.asyncDispose]();
  }

  /** After an error that leaves open what the broker has of this producer, what came next could be lost or double (I3). */
  #judged(error: unknown, signal: AbortSignal | undefined): unknown {
    const own = error instanceof DataTraceError ? error : null;
    if (own?.code === "log.fenced" || own?.code === "log.commit_unknown") this.#refused = own;
    else if (!this.#producer.settled) this.#refused = new DataTraceError("log.commit_unknown", { cause: error });
    if (signal?.aborted === true && error === signal.reason) return error;
    if (own === null) return error;
    if (told.has(own.code)) return own;
    // The caller opens the writer again and reads back what is there, whatever the cause.
    this.#refused ??= new DataTraceError("log.commit_unknown", { cause: own });
    return this.#refused;
  }
}

function demandFit(batches: readonly RecordBatch[]): void {
  for (const { topic, partition, bytes } of batches) {
    if (bytes.byteLength > maxMessageBytes) {
      throw new DataTraceError("log.record_too_large", { detail: { topic, partition, sizeBytes: bytes.byteLength } });
    }
  }
}
