import { DataTraceError } from "@datatrace/core";
import type { LogReader, ReaderEvent, TopicPartition } from "@datatrace/core";
import { createEventDecoder } from "@datatrace/avro";
import { ApplyQueue } from "./apply-queue.ts";
import { BackOff, pause } from "./back-off.ts";
import { defaultBatchRows, defaultParallelApplies, defaultTiming } from "./delivery-options.ts";
import type { DeliveryOptions, DeliveryTiming } from "./delivery-options.ts";
import { statusError } from "./delivery-status.ts";
import type { DeliveryState, DeliveryStatus, StatusError } from "./delivery-status.ts";
import { DeliveryTables } from "./delivery-tables.ts";
import { LogStanding } from "./log-standing.ts";
import { silentObserver } from "./observer.ts";
import { PartitionDelivery } from "./partition-delivery.ts";
import type { PartitionContext } from "./partition-context.ts";
import { PartitionProgress } from "./partition-progress.ts";
import { placeOf } from "./place.ts";
import { RereadRequests } from "./reread-requests.ts";
import { DeliveryPause, isPassing } from "./stop-reason.ts";
import { tableStatus } from "./table-status.ts";
import { TableWatch } from "./table-watch.ts";
import type { Address, Delivery } from "./delivery.ts";

/** Undecoded records in memory at most, over all partitions, and of one at least and at most. */
const queuedBytes = { all: 32 * 1024 * 1024, least: 128 * 1024, most: 2 * 1024 * 1024 };

/** See `Delivery` for what each operation means. */
export class RunningDelivery implements Delivery {
  readonly #options: DeliveryOptions;
  readonly #timing: DeliveryTiming;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  /** Aborts transactions in the target; later than `#signal`, so that those on their way may end. */
  readonly #cut = new AbortController();
  readonly #watch: TableWatch;
  readonly #rereads: RereadRequests;
  readonly #queue: ApplyQueue;
  readonly #context: PartitionContext;
  readonly #tables: DeliveryTables;
  readonly #partitions = new Map<string, PartitionDelivery>();
  readonly #runs = new Set<Promise<void>>();
  readonly #progress: PartitionProgress;
  readonly #standing: LogStanding;
  readonly #failed = Promise.withResolvers<never>();
  #running: Promise<void> | null = null;

  #state: DeliveryState = "starting";
  #failure: unknown = null;
  #failing = false;
  #lastError: StatusError | null = null;

  constructor(options: DeliveryOptions) {
    const { delivery, log, sink, registry, logger } = options;
    const timing = { ...defaultTiming, ...options.timing };
    const limits = { firstMs: timing.retryFirstMs, maxMs: timing.retryMaxMs };
    this.#options = options;
    this.#timing = timing;
    this.#signal =
      options.signal === undefined ? this.#stop.signal : AbortSignal.any([options.signal, this.#stop.signal]);
    this.#failed.promise.catch(() => {});
    this.#watch = new TableWatch(log, options.capture);
    this.#tables = new DeliveryTables(options, this.#signal);
    this.#rereads = new RereadRequests(log, delivery, logger, limits, this.#signal);
    const parallel = options.parallelApplies ?? defaultParallelApplies;
    this.#queue = new ApplyQueue(sink, delivery, parallel, this.#rereads, this.#cut.signal);
    this.#progress = new PartitionProgress(sink, delivery);
    this.#standing = new LogStanding(log, delivery, options.observer ?? silentObserver);
    this.#context = {
      delivery,
      log,
      sink,
      decoder: createEventDecoder(registry),
      queue: this.#queue,
      rereads: this.#rereads,
      errorStrategy: options.errorStrategy,
      batchRows: options.batchRows ?? defaultBatchRows,
      timing,
      logger,
      observer: options.observer ?? silentObserver,
      queueBytes: () => {
        const share = queuedBytes.all / Math.max(1, this.#partitions.size);
        return Math.min(queuedBytes.most, Math.max(queuedBytes.least, share));
      },
      changed: () => this.#progress.changed(),
    };
  }

  async run(): Promise<void> {
    this.#running ??= this.#run();
    await this.#running;
  }

  status(): DeliveryStatus {
    const { lag } = this.#standing;
    const partitions = [...this.#partitions.values()];
    const tables = this.#tables.all().map((table) =>
      tableStatus(
        table,
        partitions.filter((partition) => partition.table === table),
        lag.byTopic.get(table.topic) ?? 0n,
      ),
    );
    return {
      state: this.#state,
      tables,
      lagRows: lag.rows,
      lagSeconds: lag.seconds,
      parkedKeys: tables.reduce((sum, { parkedKeys }) => sum + parkedKeys, 0),
      rowsApplied: tables.reduce((sum, { rowsApplied }) => sum + rowsApplied, 0n),
      retries: partitions.reduce((sum, { retries }) => sum + retries, 0),
      lastError: this.#lastError ?? latest(tables.map(({ error }) => error)),
    };
  }

  async appliedThrough(addresses: readonly Address[], signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#failure !== null) throw this.#failure;
      const waiting = await this.#progress.notYet(
        addresses.filter(({ topic }) => !this.#tables.leavesOut(topic)),
        [...this.#partitions.values()],
        signal,
      );
      if (waiting.length === 0) return;
      const topics = new Set(waiting.map(({ topic }) => topic));
      const stopped = this.status().tables.find(({ topic, state }) => topics.has(topic) && state === "failed");
      if (stopped?.error) {
        const { code, message, fix } = stopped.error;
        throw new DataTraceError(code, { message, fix });
      }
      await this.#progress.next(signal);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("delivery stopped"));
    await this.#running?.catch(() => {});
  }

  async #run(): Promise<void> {
    const { logger, delivery } = this.#options;
    logger.info("delivery starts", { delivery });
    try {
      await this.#deliver();
    } catch (error) {
      if (this.#signal.aborted && !this.#failing) this.#enter("stopped");
      else {
        const cause = error instanceof DeliveryPause ? error.error : error;
        if (cause instanceof DataTraceError) this.#lastError = statusError(cause);
        this.#failure = cause;
        this.#enter(error instanceof DeliveryPause ? "paused" : "failed");
        throw cause;
      }
    }
    logger.info("delivery stopped", { delivery });
  }

  async #deliver(): Promise<void> {
    const { log, sink, delivery } = this.#options;
    await this.#patiently(async () => sink.open(this.#signal));
    const tables = (await this.#patiently(async () => this.#watch.look(this.#signal))) ?? [];
    this.#tables.fold(tables);
    await using reader = await this.#patiently(async () =>
      log.openReader(delivery, this.#tables.topics(), this.#signal),
    );

    this.#enter("running");
    try {
      await Promise.race([this.#poll(reader), this.#look(reader), this.#failed.promise]);
    } finally {
      // Whoever fails stops the rest in the same way as somebody who asks for it.
      this.#failing = !this.#signal.aborted;
      this.#stop.abort(new Error("delivery stopped"));
      await this.#finish(reader);
    }
  }

  /** Waits for what is on its way, but not for ever, and tells the log how far the target is. */
  async #finish(reader: LogReader): Promise<void> {
    const late = setTimeout(() => this.#cut.abort(new Error("delivery stopped")), this.#timing.stopMs);
    await Promise.allSettled([...this.#runs, this.#queue.idle(), this.#rereads.idle()]);
    clearTimeout(late);
    await this.#standing.hint(reader, this.#partitions).catch(() => {});
  }

  async #poll(reader: LogReader): Promise<void> {
    const backOff = new BackOff({ firstMs: this.#timing.retryFirstMs, maxMs: this.#timing.retryMaxMs });
    for (;;) {
      let events: readonly ReaderEvent[];
      try {
        events = await reader.poll(this.#signal);
        backOff.reset();
      } catch (error) {
        this.#signal.throwIfAborted();
        if (!(error instanceof DataTraceError)) throw error;
        if (error.code === "log.out_of_range") this.#failPartition(error);
        else if (error.code === "log.closed" || error.retry !== "timed") throw error;
        else {
          this.#trouble(error);
          await backOff.wait(this.#signal);
        }
        continue;
      }
      for (const event of events) this.#take(event, reader);
    }
  }

  #take(event: ReaderEvent, reader: LogReader): void {
    switch (event.kind) {
      case "assigned":
        for (const at of event.partitions) this.#assign(at, reader);
        return;
      case "revoked":
        for (const at of event.partitions) {
          this.#partitions.get(placeOf(at))?.revoke();
          this.#partitions.delete(placeOf(at));
        }
        return;
      case "batch":
        this.#partitions.get(placeOf(event))?.receive(event.records, event.next, event.sizeBytes);
    }
  }

  #assign({ topic, partition }: TopicPartition, reader: LogReader): void {
    const table = this.#tables.of(topic);
    if (table === undefined) return;
    const at = { topic, partition };
    this.#partitions.get(placeOf(at))?.revoke();
    const owned = new PartitionDelivery(at, table, reader, this.#context, this.#signal);
    this.#partitions.set(placeOf(at), owned);
    const run = owned.run().catch((error: unknown) => this.#failed.reject(error));
    this.#runs.add(run);
    void run.finally(() => this.#runs.delete(run));
  }

  #failPartition(error: DataTraceError): void {
    const { topic, partition } = error.detail;
    const owned = this.#partitions.get(`${String(topic)}/${String(partition)}`);
    if (owned === undefined) throw error;
    owned.fail(error);
  }

  /** About once a second: new tables, lag, and the hint to the log. */
  async #look(reader: LogReader): Promise<never> {
    for (;;) {
      try {
        const tables = await this.#watch.look(this.#signal);
        if (tables !== null && this.#tables.fold(tables)) await reader.setTopics(this.#tables.topics());
        await this.#standing.measure(this.#partitions, this.#signal);
        await this.#standing.hint(reader, this.#partitions);
      } catch (error) {
        this.#signal.throwIfAborted();
        if (!isPassing(error) || error.code === "log.closed") throw error;
        this.#trouble(error);
      }
      await pause(this.#timing.watchMs, this.#signal);
    }
  }

  /** Tries at the start until it works; a wrong login or a missing grant does not pass by itself. */
  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    const backOff = new BackOff({ firstMs: this.#timing.retryFirstMs, maxMs: this.#timing.retryMaxMs });
    for (;;) {
      try {
        return await work();
      } catch (error) {
        this.#signal.throwIfAborted();
        if (!isPassing(error) || error.code === "log.closed") throw error;
        this.#trouble(error);
        await backOff.wait(this.#signal);
      }
    }
  }

  #trouble(error: DataTraceError): void {
    const { logger, delivery, observer = silentObserver } = this.#options;
    if (this.#lastError?.code !== error.code) {
      const { code, message, fix } = error;
      logger.warn("delivery is held up, tries again", { delivery, code, error: message, fix });
    }
    this.#lastError = statusError(error);
    observer.retried(error.code);
  }

  #enter(state: DeliveryState): void {
    this.#state = state;
    this.#progress.changed();
  }
}

function latest(errors: readonly (StatusError | null)[]): StatusError | null {
  return errors.reduce((last, error) => (error !== null && (last === null || error.at > last.at) ? error : last), null);
}
