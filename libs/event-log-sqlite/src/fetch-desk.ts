import type { FetchedPart, FetchPosition, FromWorker } from "./protocol.ts";
import type { ReadStore } from "./read-store.ts";
import { toWire } from "./sqlite-error.ts";
import type { SqliteFile } from "./sqlite-file.ts";

interface Waiting {
  readonly turn: number;
  readonly positions: readonly FetchPosition[];
}

/** Readers that wait for records. Each has at most one request here, and gets at most one answer to it. */
export class FetchDesk {
  readonly #log: SqliteFile;
  readonly #reads: ReadStore;
  readonly #send: (message: FromWorker, transfer: ArrayBuffer[]) => void;
  readonly #waiting = new Map<string, Waiting>();

  constructor(log: SqliteFile, reads: ReadStore, send: (message: FromWorker, transfer: ArrayBuffer[]) => void) {
    this.#log = log;
    this.#reads = reads;
    this.#send = send;
  }

  get anyWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  request(reader: string, turn: number, positions: readonly FetchPosition[]): void {
    this.#waiting.set(reader, { turn, positions });
    void this.#attempt(reader);
  }

  forget(reader: string): void {
    this.#waiting.delete(reader);
  }

  /** Looks again for those who wait for one of these partitions, or for all. */
  wake(partitionIds: readonly number[] | null): void {
    for (const [reader, { positions }] of this.#waiting) {
      if (partitionIds === null || positions.some(({ partitionId }) => partitionIds.includes(partitionId))) {
        void this.#attempt(reader);
      }
    }
  }

  async #attempt(reader: string): Promise<void> {
    const waiting = this.#waiting.get(reader);
    if (waiting === undefined) return;
    try {
      const parts = await this.#log.read(() => this.#reads.fetch(waiting.positions));
      if (parts.length === 0 || this.#waiting.get(reader) !== waiting) return;
      this.#waiting.delete(reader);
      this.#send({ kind: "fetched", reader, turn: waiting.turn, parts }, buffersOf(parts));
    } catch (error) {
      if (this.#waiting.get(reader) !== waiting) return;
      this.#waiting.delete(reader);
      this.#send({ kind: "reader_failed", reader, error: toWire(error) }, []);
    }
  }
}

function buffersOf(parts: readonly FetchedPart[]): ArrayBuffer[] {
  return parts.flatMap((part) => ("run" in part ? [part.run.frames.buffer as ArrayBuffer] : []));
}
