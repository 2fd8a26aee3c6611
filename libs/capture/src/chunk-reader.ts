import {
  type CaptureSource,
  type Chunk,
  DataTraceError,
  failpoint,
  invariant,
  type Logger,
  untilAborted,
} from "@datatrace/core";
import { pause } from "./back-off.ts";
import type { ChunkPublisher } from "./chunk-publisher.ts";
import { type ChunkOutcome, ChunkRead, type ChunkWork, isWanted } from "./chunk-read.ts";
import type { Draft } from "./draft.ts";
import { refusesSchema } from "./stop-reason.ts";
import type { TableBinding, TableSet } from "./table-set.ts";
import type { UnseenTransactions } from "./unseen-transactions.ts";
import type { Watermarks } from "./watermarks.ts";

export interface ChunkReaderOptions {
  readonly source: CaptureSource;
  readonly tables: TableSet;
  readonly unseen: UnseenTransactions;
  readonly watermarks: Watermarks;
  readonly publisher: ChunkPublisher;
  readonly logger: Logger;
}

const discardPauseMs = 50;

/** Reads one chunk between two watermarks, as often as it takes, until the stream has published it. */
export class ChunkReader {
  readonly #options: ChunkReaderOptions;

  constructor(options: ChunkReaderOptions) {
    this.#options = options;
  }

  /** Resolves true when published, false when nobody wants it any more. */
  async read(work: ChunkWork, signal: AbortSignal): Promise<boolean> {
    const { unseen } = this.#options;
    for (let attempt = 0; ; attempt += 1) {
      const read = new ChunkRead(work, unseen.follow());
      try {
        const outcome = await this.#attempt(read, attempt, signal);
        if (outcome.kind !== "discarded") return outcome.kind === "published";
      } finally {
        unseen.unfollow(read.delivered);
        read.close();
      }
      await pause(discardPauseMs, signal);
    }
  }

  async #attempt(read: ChunkRead, attempt: number, signal: AbortSignal): Promise<ChunkOutcome> {
    const { unseen } = this.#options;
    await this.#writeWatermark(() => {
      unseen.unfollow(read.delivered);
      read.open();
    }, signal);
    failpoint("capture.after_low_watermark");
    // A window that grew too large while it waited for visibility would do so again: now wait before the read.
    if (attempt > 0) {
      await untilAborted(read.opened.promise, signal);
      await unseen.seen(read.delivered.unseen(), signal);
    }
    for (;;) {
      if (!isWanted(read.work)) return { kind: "dropped" };
      const chunk = await this.#load(read.work, signal);
      failpoint("capture.after_chunk_read");
      read.delivered.readWith(chunk.view);
      unseen.prune(chunk.view);
      const binding = await this.#options.tables.bind(chunk.schema, "chunk", signal);
      if (binding === null) return { kind: "discarded" };
      const outcome = await this.#highWatermark(read, chunk, binding, signal);
      if (outcome.kind !== "unseen") return outcome;
      const { table } = read.work;
      this.#options.logger.info("chunk waits for visibility", { table: table.id, transactions: outcome.txIds.length });
      await unseen.seen(outcome.txIds, signal);
    }
  }

  async #load(work: ChunkWork, signal: AbortSignal): Promise<Chunk> {
    const { source } = this.#options;
    const schema = work.table.version?.schema;
    invariant(schema !== undefined, "a table that is read has a version");
    if (work.kind === "range") return await source.readChunk(schema, work.range, work.scan.column, signal);
    const keys = work.entries.map((entry) => entry.cells);
    return await source.readKeys(schema, keys, signal);
  }

  async #highWatermark(
    read: ChunkRead,
    chunk: Chunk,
    binding: TableBinding,
    signal: AbortSignal,
  ): Promise<ChunkOutcome> {
    const answer = Promise.withResolvers<ChunkOutcome>();
    await this.#writeWatermark(async (draft) => {
      const refused = read.judge(binding.version);
      const outcome = refused ?? (await this.#publish(draft, read, chunk, binding, signal));
      if (outcome.kind !== "unseen") read.close();
      answer.resolve(outcome);
    }, signal);
    return await untilAborted(answer.promise, signal);
  }

  async #publish(
    draft: Draft,
    read: ChunkRead,
    chunk: Chunk,
    binding: TableBinding,
    signal: AbortSignal,
  ): Promise<ChunkOutcome> {
    try {
      await this.#options.publisher.publish(draft, read, chunk, binding, Date.now() * 1000, signal);
      return { kind: "published" };
    } catch (error) {
      const keyRefused = error instanceof DataTraceError && error.code === "source.key_unsupported";
      if (!keyRefused && !refusesSchema(error)) throw error;
      this.#options.tables.park(binding.table, error);
      return { kind: "dropped" };
    }
  }

  async #writeWatermark(returned: (draft: Draft) => void | Promise<void>, signal: AbortSignal): Promise<void> {
    const { source, watermarks } = this.#options;
    const id = watermarks.expect(returned);
    try {
      await source.writeWatermark(id, signal);
    } catch (error) {
      // What has come back was written, whatever became of the answer: its chunk may be published by now.
      if (watermarks.forget(id)) throw error;
    }
  }
}
