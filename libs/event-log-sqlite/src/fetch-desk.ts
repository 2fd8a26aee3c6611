import type { FetchedPart, FetchPosition, FromWorker, ToWorker } from "./protocol.ts";
import type { ReadStore } from "./read-store.ts";
import { toWire } from "./sqlite-error.ts";
import type { SqliteFile } from "./sqlite-file.ts";

/** What a reader waits for, by partition id, longest waiting first. */
interface Desk {
  readonly positions: Map<number, FetchPosition>;
  /** An answer was full before every partition was looked at: the reader's next message continues it. */
  unfinished: boolean;
}

/** Readers that wait for records. Each position is answered once, and then asked for anew. */
export class FetchDesk {
  readonly #log: SqliteFile;
  readonly #reads: ReadStore;
  readonly #send: (message: FromWorker, transfer: ArrayBuffer[]) => void;
  readonly #desks = new Map<string, Desk>();
  /** When records were last sent, on the clock of `performance.now()`. */
  lastAnswerMs = Number.NEGATIVE_INFINITY;

  constructor(log: SqliteFile, reads: ReadStore, send: (message: FromWorker, transfer: ArrayBuffer[]) => void) {
    this.#log = log;
    this.#reads = reads;
    this.#send = send;
  }

  request({ reader, wait, forget }: Extract<ToWorker, { kind: "fetch" }>): void {
    let desk = this.#desks.get(reader);
    if (desk === undefined) {
      desk = { positions: new Map(), unfinished: false };
      this.#desks.set(reader, desk);
    }
    for (const partitionId of forget) desk.positions.delete(partitionId);
    for (const position of wait) {
      desk.positions.delete(position.partitionId);
      desk.positions.set(position.partitionId, position);
    }
    if (desk.unfinished) void this.#attempt(reader, desk, [...desk.positions.values()]);
    else if (wait.length > 0) void this.#attempt(reader, desk, wait);
  }

  close(reader: string): void {
    this.#desks.delete(reader);
  }

  /** There are new records in these partitions. */
  wake(partitionIds: readonly number[]): void {
    for (const [reader, desk] of this.#desks) {
      const waiting = partitionIds.flatMap((id) => desk.positions.get(id) ?? []);
      if (waiting.length > 0) void this.#attempt(reader, desk, waiting);
    }
  }

  /** Another process has written something somewhere. */
  async wakeAll(): Promise<void> {
    if (this.#desks.size === 0) return;
    const ends = await this.#log.read(() => this.#reads.ends());
    for (const [reader, desk] of this.#desks) {
      const waiting = [...desk.positions.values()].filter(
        ({ partitionId, offset }) => ends.get(partitionId) !== offset,
      );
      if (waiting.length > 0) void this.#attempt(reader, desk, waiting);
    }
  }

  async #attempt(reader: string, desk: Desk, positions: readonly FetchPosition[]): Promise<void> {
    try {
      const { parts, complete } = await this.#log.read(() => this.#reads.fetch(positions));
      // Meanwhile the reader may have closed, or asked for something else.
      if (this.#desks.get(reader) !== desk) return;
      const due = parts.filter((part) => desk.positions.get(part.partitionId)?.turn === part.turn);
      for (const part of due) desk.positions.delete(part.partitionId);
      desk.unfinished = !complete;
      if (due.length === 0) return;
      this.lastAnswerMs = performance.now();
      this.#send({ kind: "fetched", reader, parts: due }, buffersOf(due));
    } catch (error) {
      if (this.#desks.get(reader) !== desk) return;
      // The reader asks again, if it wants to, with its next poll.
      this.#desks.delete(reader);
      this.#send({ kind: "reader_failed", reader, error: toWire(error) }, []);
    }
  }
}

function buffersOf(parts: readonly FetchedPart[]): ArrayBuffer[] {
  return parts.flatMap((part) => ("run" in part ? [part.run.frames.buffer as ArrayBuffer] : []));
}
