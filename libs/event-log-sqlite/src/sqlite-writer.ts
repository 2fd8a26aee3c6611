import { DataTraceError, invariant } from "@datatrace/core";
import type { AppendedRange, LogRecord, LogWriter } from "@datatrace/core";

import { packAppend } from "./append-pack.ts";
import type { LogThread } from "./log-thread.ts";

/** A writer id with the epoch it was opened under; the log compares both inside of each append. */
export class SqliteWriter implements LogWriter {
  readonly id: string;
  readonly #epoch: number;
  readonly #thread: LogThread;
  #busy = false;
  #refused: DataTraceError | null = null;

  constructor(thread: LogThread, id: string, epoch: number) {
    this.#thread = thread;
    this.id = id;
    this.#epoch = epoch;
  }

  async append(records: readonly LogRecord[], signal?: AbortSignal): Promise<readonly AppendedRange[]> {
    if (this.#refused !== null) throw this.#refused;
    if (this.#thread.ended !== null) throw this.#thread.ended;
    signal?.throwIfAborted();
    invariant(!this.#busy, "one append at a time per writer");
    if (records.length === 0) return [];
    this.#busy = true;
    try {
      const { parts, bytes } = packAppend(records);
      const request = { writer: this.id, epoch: this.#epoch, parts, bytes };
      return await this.#thread.request("append", request, signal, [bytes.buffer]);
    } catch (error) {
      throw this.#judged(error);
    } finally {
      this.#busy = false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#refused ??= new DataTraceError("log.closed");
  }

  /** After these errors this writer is of no more use: what it would append next could come twice, or out of order. */
  #judged(error: unknown): unknown {
    if (!(error instanceof DataTraceError)) return error;
    if (error.code === "log.closed") this.#refused = new DataTraceError("log.commit_unknown", { cause: error });
    else if (error.code === "log.commit_unknown" || error.code === "log.fenced") this.#refused = error;
    return this.#refused ?? error;
  }
}
