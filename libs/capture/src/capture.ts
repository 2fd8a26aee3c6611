import {
  type AppendedRange,
  DataTraceError,
  type LogWriter,
  positionTopic,
  stateTopic,
  type TopicPartition,
} from "@datatrace/core";
import { BackOff, pause } from "./back-off.ts";
import { type CaptureOptions, defaultTiming } from "./capture-options.ts";
import { type CaptureState, type CaptureStatus, statusError, type StatusError } from "./capture-status.ts";
import { silentObserver } from "./observer.ts";
import { rereadGroup } from "./reread-requests.ts";
import { Session } from "./session.ts";
import { isPassing } from "./stop-reason.ts";
import { storedTables } from "./table-record.ts";
import type { TableSet } from "./table-set.ts";
import { Wakeup } from "./wakeup.ts";

/** Last record of a partition that a capture has appended. */
export type EndAddress = TopicPartition & Pick<AppendedRange, "last">;

/** One source's tables, captured into the log. Disposing it stops it, and waits until it has stopped. */
export interface Capture extends AsyncDisposable {
  /**
   * Runs until it is stopped, or a capture of mode `snapshot` is complete. Call it once.
   * @throws DataTraceError for what does not pass by itself: `log.fenced` when another process has taken over,
   * `source.history_lost`, `source.identity_changed`, …
   */
  run(): Promise<void>;
  status(): CaptureStatus;
  /**
   * Resolves when every snapshot is complete (or its table parked) and everything committed at the source before the
   * call is in the log, with the end of every partition. Waits through trouble of the source.
   */
  caughtUp(signal: AbortSignal): Promise<readonly EndAddress[]>;
  /**
   * Takes the writer away from whoever has it: one that runs elsewhere ends with `log.fenced`, and what one that was
   * killed had not committed is dropped, for which others would wait. Only when not running; nothing when the log has
   * nothing of this capture.
   */
  fence(signal: AbortSignal): Promise<void>;
  /**
   * What the capture has left at the source and in the log, in words; removes it when `apply`. Only when not running.
   * @throws DataTraceError `log.group_in_use` while one that runs elsewhere has not ended: do it again.
   */
  decommission(apply: boolean, signal: AbortSignal): Promise<readonly string[]>;
}

/** A capture over ports. Nothing happens before `run`. */
export function openCapture(options: CaptureOptions): Capture {
  return new RunningCapture(options);
}

/** A session that ran this long was no failed attempt: the next wait is a first one. */
const healthyMs = 30_000;
const caughtUpRetryMs = 200;

class RunningCapture implements Capture {
  readonly #options: CaptureOptions;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #changed = new Wakeup();
  #state: CaptureState = "starting";
  #running: Promise<void> | null = null;
  #writer: LogWriter | null = null;
  #session: Session | null = null;
  #tables: TableSet | null = null;
  #retries = 0;
  #lastError: StatusError | null = null;
  #failure: unknown = null;

  constructor(options: CaptureOptions) {
    this.#options = options;
    this.#signal =
      options.signal === undefined ? this.#stop.signal : AbortSignal.any([options.signal, this.#stop.signal]);
  }

  async run(): Promise<void> {
    this.#running ??= this.#run();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { logger, capture, observer = silentObserver, timing } = this.#options;
    const { retryFirstMs, retryMaxMs } = { ...defaultTiming, ...timing };
    const backOff = new BackOff({ firstMs: retryFirstMs, maxMs: retryMaxMs });
    logger.info("capture starts", { capture, mode: this.#options.mode });
    try {
      for (;;) {
        const beganMs = performance.now();
        try {
          this.#enter(await this.#runSession());
          logger.info("capture is complete", { capture });
          return;
        } catch (error) {
          this.#signal.throwIfAborted();
          if (!isPassing(error)) throw error;
          if (performance.now() - beganMs > healthyMs) backOff.reset();
          // What the writer did last is not known: another one reads back what is there. In any other case the writer
          // stays, so that a process that was taken over meanwhile finds itself fenced, and fences nobody.
          if (error.code === "log.commit_unknown") await this.#closeWriter();
          this.#retries += 1;
          this.#lastError = statusError(error);
          observer.retried(error.code);
          if (this.#state !== "retrying") logger.warn("capture is interrupted, tries again", errorFields(error));
          this.#enter("retrying");
          await backOff.wait(this.#signal);
        }
      }
    } catch (error) {
      if (this.#signal.aborted) {
        this.#enter("stopped");
        logger.info("capture stopped", { capture });
        return;
      }
      this.#failure = error;
      if (error instanceof DataTraceError) this.#lastError = statusError(error);
      this.#enter("failed");
      throw error;
    } finally {
      await this.#closeWriter();
    }
  }

  async #runSession(): Promise<CaptureState> {
    const { log, capture, logger } = this.#options;
    this.#writer ??= await log.openWriter(writerId(capture), this.#signal);
    const { tables, session } = await Session.open(this.#options, this.#writer, this.#signal);
    this.#tables = tables;
    if (session === null) return "finished";
    this.#session = session;
    if (this.#state === "retrying") logger.info("capture goes on", { capture });
    this.#enter("running");
    await session.run(this.#signal);
    return "finished";
  }

  status(): CaptureStatus {
    const session = this.#session;
    const tables = [...(this.#tables?.all() ?? [])];
    return {
      state: this.#state,
      tables: tables.map((table) => ({
        table: table.id,
        topic: table.topic,
        phase: table.phase,
        rowsRead: table.rowsRead,
        estimatedRows: table.estimatedRows,
        rowsPerSecond: Math.round(table.meter.perSecond),
        rereads: table.rereads.size,
        error: table.error,
      })),
      position: session?.appender.stored.position ?? null,
      lagBytes: session?.lag.lag.bytes ?? 0,
      lagSeconds: session?.lag.lag.seconds ?? 0,
      rowsAppended: session?.appender.stored.rows ?? 0n,
      retries: this.#retries,
      lastError: this.#lastError,
    };
  }

  async caughtUp(signal: AbortSignal): Promise<readonly EndAddress[]> {
    for (;;) {
      const ticket = this.#changed.ticket;
      if (this.#state === "finished") return this.#ends();
      if (this.#state === "failed") throw this.#failure;
      if (this.#state === "stopped") throw this.#signal.reason;
      const session = this.#session;
      if (this.#state !== "running" || session === null) {
        await this.#changed.since(ticket, signal);
        continue;
      }
      try {
        await session.caughtUp(AbortSignal.any([signal, session.ended]));
        return this.#ends();
      } catch (error) {
        signal.throwIfAborted();
        if (!session.ended.aborted && !isPassing(error)) throw error;
        if (session.ended.aborted) await this.#changed.since(ticket, signal);
        else await pause(caughtUpRetryMs, signal);
      }
    }
  }

  async fence(signal: AbortSignal): Promise<void> {
    const { log, capture } = this.#options;
    if ((await log.topic(stateTopic(capture), signal)) === null) return;
    await using _writer = await log.openWriter(writerId(capture), signal);
  }

  async decommission(apply: boolean, signal: AbortSignal): Promise<readonly string[]> {
    const { source, log, capture } = this.#options;
    // Fences whoever may still run: a stream must not be made anew behind this.
    await using _writer = apply ? await log.openWriter(writerId(capture), signal) : null;
    const state =
      (await log.topic(stateTopic(capture), signal)) === null ? [] : await log.latestByKey(stateTopic(capture), signal);
    const removed = [...(await source.decommission(apply, signal))];
    const data = storedTables(state).flatMap((table) => (table.epoch === null ? [] : [table.topic]));
    const topics: string[] = [];
    for (const topic of [...data, positionTopic(capture), stateTopic(capture)]) {
      if ((await log.topic(topic, signal)) !== null) topics.push(topic);
    }
    removed.push(...topics.map((topic) => `topic ${topic}`));
    if (apply) {
      // Topics last: as long as they are there, one that was cut off is found again, with its group (I7).
      await log.removeGroup(rereadGroup(capture), signal);
      await log.deleteTopics(topics, signal);
    }
    return removed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the capture is disposed"));
    // Whoever awaits `run` gets its error; disposing does not throw it again.
    await this.#running?.catch(() => undefined);
  }

  #ends(): readonly EndAddress[] {
    return [...(this.#tables?.all() ?? [])].flatMap(({ topic, last }) =>
      [...last].map(([partition, offset]) => ({ topic, partition, last: offset })),
    );
  }

  #enter(state: CaptureState): void {
    this.#state = state;
    this.#changed.wake();
  }

  async #closeWriter(): Promise<void> {
    const writer = this.#writer;
    this.#writer = null;
    await writer?.[Symbol.asyncDispose]();
  }
}

function writerId(capture: string): string {
  return `capture.${capture}`;
}

function errorFields(error: DataTraceError): Record<string, string> {
  return { code: error.code, error: error.message, fix: error.fix };
}
