import { Worker } from "node:worker_threads";

import { DataTraceError } from "@datatrace/core";
import type { Logger } from "@datatrace/core";

import type { FromWorker, Operation, Operations, ToWorker } from "./protocol.ts";

interface Pending {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly signal: AbortSignal | undefined;
}

/** What the thread says without being asked. */
export type Notice = Extract<FromWorker, { kind: "assignment" | "fetched" | "reader_failed" }>;

/** What a reader hears from the thread. */
export interface Listener {
  notice(notice: Notice): void;
  /** The thread is gone, and nothing more will come. */
  lost(error: Error): void;
}

/** The log's own thread, where SQLite may block: requests and answers, and notices for readers. */
export class LogThread {
  readonly #worker: Worker;
  readonly #logger: Logger | null;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Map<string, Listener>();
  readonly #exited: Promise<void>;
  #lastId = 0;
  #ended: DataTraceError | null = null;

  constructor(logger: Logger | null) {
    this.#logger = logger;
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), { name: "event-log" });
    this.#worker.on("message", (message: FromWorker) => this.#receive(message));
    this.#worker.on("error", (cause) =>
      this.#end(new DataTraceError("log.closed", { cause, detail: { thread: "failed" } })),
    );
    this.#exited = new Promise((resolve) => {
      this.#worker.on("exit", () => {
        this.#end(new DataTraceError("log.closed"));
        resolve();
      });
    });
  }

  /** @throws DataTraceError whatever the operation meets, or `log.closed`; the signal's reason when aborted in time. */
  request<O extends Operation>(
    operation: O,
    request: Operations[O]["request"],
    signal?: AbortSignal,
    transfer: ArrayBuffer[] = [],
  ): Promise<Operations[O]["answer"]> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    if (this.#ended !== null) return Promise.reject(this.#ended);
    this.#lastId += 1;
    const id = this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    // Once the thread has begun, the answer tells what became of it: an abort never leaves the outcome open.
    const abort = (): void => this.#post({ kind: "cancel", id });
    signal?.addEventListener("abort", abort, { once: true });
    this.#pending.set(id, {
      resolve: (answer) => {
        signal?.removeEventListener("abort", abort);
        resolve(answer);
      },
      reject: (error) => {
        signal?.removeEventListener("abort", abort);
        reject(error);
      },
      signal,
    });
    this.#post({ kind: "request", id, operation, request } as ToWorker, transfer);
    return promise as Promise<Operations[O]["answer"]>;
  }

  /** Why nothing can be asked any more; null while it can. */
  get ended(): DataTraceError | null {
    return this.#ended;
  }

  fetch(message: Extract<ToWorker, { kind: "fetch" }>): void {
    if (this.#ended === null) this.#post(message);
  }

  listen(reader: string, listener: Listener): void {
    this.#listeners.set(reader, listener);
  }

  unlisten(reader: string): void {
    this.#listeners.delete(reader);
  }

  /** Closes the files and ends the thread. */
  async close(): Promise<void> {
    if (this.#ended === null) {
      const closing = this.request("close", null);
      this.#ended = new DataTraceError("log.closed");
      for (const listener of this.#listeners.values()) listener.lost(this.#ended);
      await closing;
    }
    await this.#exited;
  }

  #post(message: ToWorker, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case "answer":
        this.#take(message.id)?.resolve(message.answer);
        break;
      case "failed":
        this.#take(message.id)?.reject(new DataTraceError(message.error.code, { detail: message.error.detail }));
        break;
      case "cancelled": {
        const pending = this.#take(message.id);
        pending?.reject(pending.signal?.reason);
        break;
      }
      case "assignment":
      case "fetched":
      case "reader_failed":
        this.#listeners.get(message.reader)?.notice(message);
        break;
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  #end(error: DataTraceError): void {
    if (this.#ended === null) {
      this.#ended = error;
      this.#logger?.error("event log thread ended", { code: error.code });
    }
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
    for (const listener of this.#listeners.values()) listener.lost(error);
  }
}
