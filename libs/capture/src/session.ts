import { DataTraceError, type LogWriter, type Position, positionTopic, stateTopic } from "@datatrace/core";
import { pause } from "./back-off.ts";
import { type CaptureOptions, type CaptureTiming, defaultBatch, defaultTiming } from "./capture-options.ts";
import { Catalog } from "./catalog.ts";
import { ChunkPublisher } from "./chunk-publisher.ts";
import { ChunkReader } from "./chunk-reader.ts";
import { ChunkScheduler } from "./chunk-scheduler.ts";
import { LagMeter } from "./lag-meter.ts";
import { LogAppender } from "./log-appender.ts";
import { type CaptureObserver, silentObserver } from "./observer.ts";
import type { StoredPosition } from "./position-record.ts";
import { RereadRequests } from "./reread-requests.ts";
import { finishedRecords, startUp } from "./start-up.ts";
import { isPassing } from "./stop-reason.ts";
import { StreamProcessor } from "./stream-processor.ts";
import { TablePoll } from "./table-poll.ts";
import { TableSet } from "./table-set.ts";
import { UnseenTransactions } from "./unseen-transactions.ts";
import { watchVisibility } from "./visibility-watch.ts";
import { Watermarks } from "./watermarks.ts";

const defaultChunkRows = 10_000;
const defaultParallelChunks = 4;

/**
 * A capture from what is stored until something fails: whatever it has in memory beyond what the log has is worth
 * nothing, so the way back from any trouble is another session (I7).
 */
export class Session {
  readonly #options: CaptureOptions;
  readonly #timing: CaptureTiming;
  readonly #observer: CaptureObserver;
  readonly #writer: LogWriter;
  readonly #unseen: UnseenTransactions;
  readonly #watermarks = new Watermarks();
  readonly #processor: StreamProcessor;
  readonly #scheduler: ChunkScheduler;
  readonly #poll: TablePoll;
  readonly #requests: RereadRequests;
  readonly #stop = new AbortController();
  readonly tables: TableSet;
  readonly appender: LogAppender;
  readonly lag: LagMeter;

  /** With the writer open. A capture of mode `snapshot` that is complete has tables only. */
  static async open(
    options: CaptureOptions,
    writer: LogWriter,
    signal: AbortSignal,
  ): Promise<{ readonly tables: TableSet; readonly session: Session | null }> {
    const { capture, prefix, source, log, registry, logger, mode } = options;
    const tables = new TableSet({ descriptor: source.descriptor, prefix, registry }, stateTopic(capture), logger);
    const selection = options.tables;
    const catalog = new Catalog({ source, log, tables, selection, prefix, snapshot: mode !== "stream", logger });
    const snapshotOnly = mode === "snapshot";
    const start = await startUp({ capture, source, log, writer, tables, catalog, snapshotOnly, logger }, signal);
    return { tables, session: start === null ? null : new Session(options, writer, tables, catalog, start) };
  }

  constructor(options: CaptureOptions, writer: LogWriter, tables: TableSet, catalog: Catalog, start: StoredPosition) {
    const { capture, source, logger, mode } = options;
    const observer = options.observer ?? silentObserver;
    const timing = { ...defaultTiming, ...options.timing };
    const unseen = new UnseenTransactions(start.unseen);
    this.#options = options;
    this.#timing = timing;
    this.#observer = observer;
    this.#writer = writer;
    this.#unseen = unseen;
    this.tables = tables;
    this.lag = new LagMeter(source);
    this.#processor = new StreamProcessor(tables, unseen, this.#watermarks);
    this.appender = new LogAppender({
      writer,
      source,
      tables,
      unseen,
      positionTopic: positionTopic(capture),
      start,
      bounds: { ...defaultBatch, ...options.batch },
      heartbeatMs: timing.heartbeatMs,
      logger,
      observer,
    });
    const publisher = new ChunkPublisher(tables, mode === "snapshot", logger);
    this.#scheduler = new ChunkScheduler({
      source,
      tables,
      reader: new ChunkReader({ source, tables, unseen, watermarks: this.#watermarks, publisher, logger }),
      chunkRows: options.chunkRows ?? defaultChunkRows,
      parallelChunks: options.parallelChunks ?? defaultParallelChunks,
      logger,
      observer,
    });
    tables.listen(() => {
      this.appender.wake();
      this.#scheduler.wake();
    });
    this.#poll = new TablePoll({
      catalog,
      intervalMs: timing.tablesMs,
      looked: (joined) => {
        if (joined) this.#processor.tablesChanged();
      },
      logger,
      observer,
    });
    const asked = (): void => this.#scheduler.wake();
    this.#requests = new RereadRequests({
      log: options.log,
      registry: options.registry,
      capture,
      tables,
      asked,
      logger,
    });
  }

  /** Aborted when the session has ended. */
  get ended(): AbortSignal {
    return this.#stop.signal;
  }

  /** Runs until the signal or an error; resolves when a capture of mode `snapshot` is complete. */
  async run(signal: AbortSignal): Promise<void> {
    const both = AbortSignal.any([signal, this.#stop.signal]);
    const complete = new Error("the capture is complete");
    const tasks = [
      this.appender.run(both),
      this.#stream(both),
      this.#scheduler.run(both),
      this.#poll.run(both),
      watchVisibility(this.#options.source, this.#unseen, this.#timing.visibilityMs, both),
      this.#requests.run(both),
      this.#tick(both),
      this.#measure(both),
    ];
    if (this.#options.mode === "snapshot") tasks.push(this.#untilComplete(complete, both));
    try {
      await Promise.all(tasks);
    } catch (error) {
      // The first to fail ends all; an append under way is still awaited.
      this.#stop.abort(error);
      await Promise.allSettled(tasks);
      if (error !== complete) throw error;
      await this.#finish(signal);
    }
  }

  /** Resolves when everything committed at the source before the call is in the log, and every snapshot is complete. */
  async caughtUp(signal: AbortSignal): Promise<void> {
    const { source } = this.#options;
    const head = await source.head(signal);
    // Tables and columns that were there before the call are known after the next look.
    await this.#poll.next(signal);
    // Something comes after the head, so that an idle stream moves past it at once.
    await source.writeWatermark(
      this.#watermarks.expect(() => undefined),
      signal,
    );
    const { progress } = this.appender;
    for (let ticket = progress.ticket; !this.#isPast(head); ticket = progress.ticket) {
      await progress.since(ticket, signal);
    }
  }

  #isPast(head: Position): boolean {
    return this.#settled() && this.#options.source.reached(this.appender.reached, head);
  }

  #settled(): boolean {
    for (const table of this.tables.all()) if (!table.settled) return false;
    return this.appender.idle;
  }

  async #stream(signal: AbortSignal): Promise<void> {
    const { source } = this.#options;
    for await (const batch of source.changes(this.appender.stored.position, this.tables.known(), signal)) {
      await this.appender.fill(async (draft) => await this.#processor.process(draft, batch, signal), signal);
    }
    signal.throwIfAborted();
    throw new DataTraceError("source.connection_lost", { message: "The source has ended the stream." });
  }

  /** The appender looks at the clock: a position without events is stored when its time has come. */
  async #tick(signal: AbortSignal): Promise<void> {
    for (;;) {
      await pause(Math.min(this.#timing.heartbeatMs, this.#timing.lagMs), signal);
      this.appender.wake();
    }
  }

  async #measure(signal: AbortSignal): Promise<void> {
    const { source } = this.#options;
    for (;;) {
      await pause(this.#timing.lagMs, signal);
      for (const table of this.tables.all()) table.meter.measure(table.rowsRead, performance.now());
      try {
        const head = await source.head(signal);
        const { bytes, seconds } = this.lag.measure(
          head,
          this.appender.reached,
          this.appender.lastCommitTsUs,
          Date.now(),
        );
        this.#observer.lag(bytes, seconds);
      } catch (error) {
        // The stream notices a source that is gone, and says so.
        if (!isPassing(error)) throw error;
      }
    }
  }

  async #untilComplete(complete: Error, signal: AbortSignal): Promise<never> {
    const { progress } = this.appender;
    for (let ticket = progress.ticket; !this.#settled(); ticket = progress.ticket) {
      await progress.since(ticket, signal);
    }
    throw complete;
  }

  /** The stream was needed for a consistent snapshot only. */
  async #finish(signal: AbortSignal): Promise<void> {
    const { capture, source } = this.#options;
    await this.#writer.append(finishedRecords(capture, await source.identity(signal)));
    await source.dropStream(signal);
  }
}
