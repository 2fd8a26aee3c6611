import {
  type AppendedRange,
  type CaptureSource,
  DataTraceError,
  failpoint,
  invariant,
  type Logger,
  type LogRecord,
  type LogWriter,
  type Position,
} from "@datatrace/core";
import { BackOff } from "./back-off.ts";
import { Draft } from "./draft.ts";
import type { CaptureObserver } from "./observer.ts";
import { encodePosition, positionKey, type StoredPosition } from "./position-record.ts";
import type { TableSet } from "./table-set.ts";
import type { UnseenTransactions } from "./unseen-transactions.ts";
import { Wakeup } from "./wakeup.ts";

export interface BatchBounds {
  /** A draft with this many rows or bytes is full: the stream waits until it is taken. */
  readonly maxRows: number;
  readonly maxBytes: number;
}

export interface LogAppenderOptions {
  readonly writer: LogWriter;
  readonly source: Pick<CaptureSource, "acknowledge">;
  readonly tables: TableSet;
  readonly unseen: UnseenTransactions;
  readonly positionTopic: string;
  readonly start: StoredPosition;
  readonly bounds: BatchBounds;
  /** A position without events is stored this often at most. */
  readonly heartbeatMs: number;
  readonly logger: Logger;
  readonly observer: CaptureObserver;
}

/**
 * Appends drafts, one at a time and without linger: while one is under way the next is filled. Events, position and
 * changed state are one log transaction (I3), and exactly its position is acknowledged once it is durable (I1).
 */
export class LogAppender {
  readonly #options: LogAppenderOptions;
  readonly #work = new Wakeup();
  readonly #room = new Wakeup();
  /** After each append that is durable, and whenever a batch turned out to hold nothing to append. */
  readonly progress = new Wakeup();
  #draft = new Draft();
  #filling = false;
  #appending = false;
  #stored: StoredPosition;
  #storedAt = performance.now();
  #lastTsUs = 0;

  constructor(options: LogAppenderOptions) {
    this.#options = options;
    this.#stored = options.start;
  }

  /** What the log has. */
  get stored(): StoredPosition {
    return this.#stored;
  }

  /** Everything up to here that concerns this capture is in the log: at `stored`, or beyond it where nothing was found. */
  get reached(): Position {
    return (this.idle ? this.#draft.position : null) ?? this.#stored.position;
  }

  /** Commit time of the last transaction in the log, microseconds since the epoch; 0 before the first. */
  get lastCommitTsUs(): number {
    return this.#lastTsUs;
  }

  /** Something that is stored with the next append has changed, or time has passed. */
  wake(): void {
    this.#work.wake();
  }

  /** Nothing is waiting to be appended. */
  get idle(): boolean {
    return !this.#filling && !this.#appending && this.#draft.records.length === 0 && !this.#options.tables.touched;
  }

  /** Fills the draft. `fill` must leave it at the end of a source batch. */
  async fill(fill: (draft: Draft) => Promise<void>, signal: AbortSignal): Promise<void> {
    for (let ticket = this.#room.ticket; this.#full(); ticket = this.#room.ticket)
      await this.#room.since(ticket, signal);
    invariant(!this.#filling, "one at a time fills the draft");
    this.#filling = true;
    await fill(this.#draft);
    // Not after an error: half a batch is never appended (I3).
    this.#filling = false;
    this.#work.wake();
    this.progress.wake();
  }

  /** Runs until the signal or an error. An append under way is always awaited. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      const ticket = this.#work.ticket;
      signal.throwIfAborted();
      if (this.#due()) await this.#append(signal);
      else await this.#work.since(ticket, signal);
    }
  }

  #full(): boolean {
    const { maxRows, maxBytes } = this.#options.bounds;
    return this.#draft.rows >= maxRows || this.#draft.sizeBytes >= maxBytes;
  }

  #due(): boolean {
    if (this.#filling) return false;
    if (this.#draft.records.length > 0 || this.#options.tables.touched) return true;
    if (this.#draft.position === null) return false;
    return performance.now() - this.#storedAt >= this.#options.heartbeatMs;
  }

  async #append(signal: AbortSignal): Promise<void> {
    const { tables, unseen, positionTopic, source, observer } = this.#options;
    const draft = this.#draft;
    this.#draft = new Draft();
    this.#appending = true;
    this.#room.wake();
    const next: StoredPosition = {
      position: draft.position ?? this.#stored.position,
      rows: this.#stored.rows + BigInt(draft.rows),
      unseen: unseen.current(),
    };
    // I3: the position is in the log transaction of the events up to it, and nowhere else.
    const position: LogRecord = { topic: positionTopic, partition: 0, key: positionKey, value: encodePosition(next) };
    const records = [...draft.records, ...tables.drain(), position];
    const began = performance.now();
    failpoint("capture.before_append");
    const ranges = await this.#appendUntilTaken(records, signal);
    failpoint("capture.after_append");
    this.#stored = next;
    this.#storedAt = performance.now();
    if (draft.commitTsUs > 0) this.#lastTsUs = draft.commitTsUs;
    this.#noteAddresses(ranges);
    this.#appending = false;
    failpoint("capture.before_ack");
    // I1: only now, and exactly what was stored.
    source.acknowledge(next.position);
    observer.appended({
      tables: [...draft.counts].map(([table, counts]) => ({ table: table.name, counts })),
      rows: draft.rows,
      sizeBytes: draft.sizeBytes,
      seconds: (this.#storedAt - began) / 1000,
    });
    this.progress.wake();
  }

  /** A log that is full or locked has appended nothing: the same records are tried again for ever. */
  async #appendUntilTaken(records: readonly LogRecord[], signal: AbortSignal): Promise<readonly AppendedRange[]> {
    const { writer, logger, observer } = this.#options;
    const backOff = new BackOff({ firstMs: 50, maxMs: 5000 });
    for (let waiting = false; ;) {
      try {
        const ranges = await writer.append(records);
        if (waiting) logger.info("log takes appends again");
        return ranges;
      } catch (error) {
        if (!(error instanceof DataTraceError) || (error.code !== "log.full" && error.code !== "log.locked"))
          throw error;
        observer.retried(error.code);
        if (!waiting) logger.warn("log takes no append", { code: error.code, error: error.message, fix: error.fix });
        waiting = true;
        await backOff.wait(signal);
      }
    }
  }

  #noteAddresses(ranges: readonly AppendedRange[]): void {
    for (const { topic, partition, last } of ranges) this.#options.tables.ofTopic(topic)?.last.set(partition, last);
  }
}
