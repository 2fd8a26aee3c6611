import { DataTraceError } from "@datatrace/core";
import type { Claim, EventLog, LogReader, StoredRecord, TopicPartition } from "@datatrace/core";
import { keyIdentity } from "@datatrace/avro";
import { BackOff, pause } from "./back-off.ts";
import { BatchApplier } from "./batch-applier.ts";
import type { ChangeBatch } from "./change-batch.ts";
import { statusError } from "./delivery-status.ts";
import type { PartitionState, PartitionStatus, StatusError } from "./delivery-status.ts";
import { PartitionParkedKeys } from "./parked-keys.ts";
import type { PartitionContext } from "./partition-context.ts";
import { RecordIntake } from "./record-intake.ts";
import { DeliveryPause, TableStop, isPassing } from "./stop-reason.ts";
import type { TableDelivery } from "./table-delivery.ts";

/**
 * One partition from its assignment until it is taken away: claim, apply, claim again when somebody else has, and rest
 * when its table cannot go on.
 */
export class PartitionDelivery {
  readonly at: TopicPartition;
  readonly table: TableDelivery;
  readonly #context: PartitionContext;
  readonly #reader: LogReader;
  readonly #revoked = new AbortController();
  readonly #signal: AbortSignal;
  #intake: RecordIntake | null = null;
  #applier: BatchApplier | null = null;
  #state: PartitionState = "claiming";
  #cause: StatusError | null = null;
  #outside: PromiseWithResolvers<never> | null = null;
  retries = 0;
  /** The log's end, as it was last looked at. */
  end: bigint | null = null;

  constructor(
    at: TopicPartition,
    table: TableDelivery,
    reader: LogReader,
    context: PartitionContext,
    signal: AbortSignal,
  ) {
    this.at = at;
    this.table = table;
    this.#reader = reader;
    this.#context = context;
    this.#signal = AbortSignal.any([signal, this.#revoked.signal]);
  }

  /** Offset stored in the target; null until the first claim. */
  get next(): bigint | null {
    return this.#applier?.stored ?? null;
  }

  get parkedKeys(): number {
    return this.#applier?.parkedKeys ?? 0;
  }

  /** Commit time of the oldest change that is here and not applied. */
  get oldestCommitTsUs(): number | null {
    return this.#applier?.applyingSinceTsUs ?? this.#intake?.oldestCommitTsUs ?? null;
  }

  /** What the reader has fetched. */
  receive(records: readonly StoredRecord[], next: bigint, sizeBytes: number): void {
    this.#intake?.push(records, next, sizeBytes);
  }

  /** The reader cannot go on with this partition. */
  fail(error: DataTraceError): void {
    this.#outside?.reject(new TableStop(error, false));
  }

  revoke(): void {
    this.#revoked.abort(new Error("partition revoked"));
  }

  status(): PartitionStatus {
    const { next, end } = this;
    const lagRows = next === null || end === null ? null : end > next ? end - next : 0n;
    const state = this.table.signal.aborted ? "stopped" : this.#state;
    return { ...this.at, state, next, lagRows, parkedKeys: this.parkedKeys, cause: this.#cause };
  }

  /**
   * Resolves when the partition is revoked or the delivery stops. Rejects with what stops the whole delivery:
   * `DeliveryPause`, or a bug.
   */
  async run(): Promise<void> {
    const { timing, logger } = this.#context;
    const lostRace = new BackOff({ firstMs: timing.retryFirstMs, maxMs: timing.retryMaxMs });
    while (!this.#signal.aborted) {
      try {
        const from = this.next;
        await this.#own();
        if (this.next !== from) lostRace.reset();
        // Somebody else has claimed it. If it is still ours to read, the claim goes back and forth until one is told.
        await lostRace.wait(this.#signal);
      } catch (error) {
        if (this.#signal.aborted) return;
        if (error instanceof DeliveryPause) throw error;
        if (this.table.signal.aborted) {
          await this.#rest();
          return;
        }
        if (isPassing(error)) {
          this.#retrying(error);
          await lostRace.wait(this.#signal).catch(() => {});
          continue;
        }
        const stop = error instanceof DataTraceError ? new TableStop(error, true) : error;
        if (!(stop instanceof TableStop)) throw stop;
        this.#stopped(stop);
        logger.error("table stopped", { ...this.#place(), code: stop.error.code, ...stop.error.detail });
        if (!stop.looksAgain) {
          await this.#rest();
          return;
        }
        await pause(timing.stoppedMs, this.#signal).catch(() => {});
      }
    }
  }

  /** Claims the partition and applies it until somebody else claims it. */
  async #own(): Promise<void> {
    const { log, delivery, decoder, batchRows, queueBytes } = this.#context;
    const session = new AbortController();
    const signal = AbortSignal.any([this.#signal, this.table.signal, session.signal]);
    this.#enter("claiming");
    const claim = await this.#claim(signal);
    const parkedKeys = new PartitionParkedKeys(await this.#loadParked(signal));
    await this.#loadRereads(signal);
    await this.#checkBounds(log, claim.next, signal);
    this.#outside = Promise.withResolvers<never>();
    this.#outside.promise.catch(() => {});
    this.#applier = new BatchApplier(claim, this.table, parkedKeys, this.#applierContext(signal));
    const intake = new RecordIntake({
      at: this.at,
      delivery,
      decoder,
      parkedKeys,
      start: claim.next,
      batchRows,
      queueBytes: queueBytes(),
      pause: () => this.#reader.pause([this.at]),
      resume: () => this.#reader.resume([this.at]),
      signal,
    });
    this.#intake = intake;
    this.#reader.resume([this.at]);
    this.#reader.seek(this.at, claim.next);
    this.#enter("running");
    try {
      await Promise.race([this.#applyAll(this.#applier, intake, signal), this.#outside.promise]);
    } finally {
      this.#reader.pause([this.at]);
      this.#intake = null;
      session.abort(new Error("claim ended"));
    }
  }

  /** Returns when the claim is lost. */
  async #applyAll(applier: BatchApplier, intake: RecordIntake, signal: AbortSignal): Promise<void> {
    for (;;) {
      const batch: ChangeBatch = await intake.take();
      if (batch.next > applier.stored) {
        const applying = applier.apply(batch);
        // The hand-over to the target waits for the end of this turn. Decoding comes after it, and overlaps with it.
        setImmediate(() => setImmediate(() => intake.fill()));
        if ((await applying) === "stale") return;
        this.#enter("running");
        this.#context.changed();
      }
      signal.throwIfAborted();
      if (batch.stop !== null) throw isPassing(batch.stop) ? batch.stop : stopOf(batch.stop);
    }
  }

  async #claim(signal: AbortSignal): Promise<Claim> {
    const { sink, delivery, log, timing } = this.#context;
    const identity = await log.topic(this.at.topic, signal);
    if (identity === null) throw new DataTraceError("log.topic_unknown", { detail: { topic: this.at.topic } });
    const backOff = new BackOff({ firstMs: timing.retryFirstMs, maxMs: timing.retryMaxMs });
    for (;;) {
      try {
        // A delivery without progress begins at the first record that the topic ever had, or says that it is gone.
        const wanted = { ...this.at, topicEpoch: identity.epoch, start: 0n };
        const [claim] = await sink.claim(delivery, [wanted], signal);
        if (claim !== undefined) return claim;
      } catch (error) {
        signal.throwIfAborted();
        if (!isPassing(error)) throw error;
        this.#retrying(error);
      }
      await backOff.wait(signal);
    }
  }

  async #loadParked(signal: AbortSignal): Promise<readonly string[]> {
    const { sink, delivery } = this.#context;
    return (await sink.parkedKeys(delivery, [this.at], signal)).map(({ key }) => keyIdentity(key));
  }

  /** Those of an owner before us may never have been sent. */
  async #loadRereads(signal: AbortSignal): Promise<void> {
    const { sink, delivery, rereads } = this.#context;
    const open = await sink.openRereads(delivery, signal);
    rereads.asked(open.filter(({ topic }) => topic === this.at.topic));
  }

  /** Never begins anywhere else than where it stopped (I3). */
  async #checkBounds(log: EventLog, next: bigint, signal: AbortSignal): Promise<void> {
    const { earliest, end } = await log.bounds(this.at, signal);
    this.end = end;
    if (next >= earliest && next <= end) return;
    const detail = { ...this.at, offset: next.toString(), earliest: earliest.toString(), end: end.toString() };
    throw new TableStop(new DataTraceError("log.out_of_range", { detail }), false);
  }

  #applierContext(signal: AbortSignal): ConstructorParameters<typeof BatchApplier>[3] {
    const { queue, rereads, errorStrategy, timing, observer, logger } = this.#context;
    return {
      queue,
      rereads,
      errorStrategy,
      timing,
      observer,
      logger,
      signal,
      retrying: (error) => this.#retrying(error),
    };
  }

  #retrying(error: DataTraceError): void {
    this.retries += 1;
    this.#context.observer.retried(error.code);
    if (this.#state !== "retrying") {
      this.#context.logger.warn("partition is held up, tries again", {
        ...this.#place(),
        code: error.code,
        ...error.detail,
      });
    }
    this.#cause = statusError(error);
    this.#enter("retrying");
  }

  #stopped(stop: TableStop): void {
    this.#cause = statusError(stop.error);
    if (!stop.looksAgain) this.table.fail(stop.error);
    this.#enter("stopped");
  }

  /** Keeps the assignment without working on it. */
  async #rest(): Promise<void> {
    this.#enter("stopped");
    if (this.#signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
  }

  #enter(state: PartitionState): void {
    if (this.#state === "retrying" && state === "running") {
      this.#context.logger.info("partition goes on", this.#place());
    }
    if (state === "running") this.#cause = null;
    if (this.#state === state) return;
    this.#state = state;
    this.#context.changed();
  }

  #place(): { readonly topic: string; readonly partition: number } {
    return this.at;
  }
}

/** A record that cannot be read stops its table until the next start; what is not an error of ours is a bug. */
function stopOf(error: unknown): unknown {
  return error instanceof DataTraceError ? new TableStop(error, false) : error;
}
