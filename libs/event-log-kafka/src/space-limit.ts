import { DataTraceError } from "@datatrace/core";
import type { AppendedRange, TopicPartition } from "@datatrace/core";

import type { Cluster } from "./cluster.ts";
import { readLogSizes } from "./log-sizes.ts";
import { placeName, readBounds } from "./offsets.ts";
import type { RecordBatch } from "./record-batch.ts";

/** Bytes up to an offset, the first of which may be gone already. */
interface Piece {
  readonly last: bigint;
  readonly sizeBytes: number;
}

interface Held {
  readonly place: TopicPartition;
  pieces: Piece[];
}

/**
 * What this log has put into data topics and nobody has released yet, held against a limit. Brokers have no limit that
 * refuses instead of deleting, so it is counted here: what was there when a partition was first written to, by the
 * broker's account, and each append after that. What other processes append to the same topics is not seen.
 */
export class SpaceLimit {
  readonly #cluster: Cluster;
  readonly #isData: (topic: string, signal?: AbortSignal) => Promise<boolean>;
  readonly #maxSizeBytes: number;
  readonly #held = new Map<string, Held>();

  constructor(
    cluster: Cluster,
    maxSizeBytes: number,
    isData: (topic: string, signal?: AbortSignal) => Promise<boolean>,
  ) {
    this.#cluster = cluster;
    this.#maxSizeBytes = maxSizeBytes;
    this.#isData = isData;
  }

  get usedBytes(): number {
    let used = 0;
    for (const { pieces } of this.#held.values()) for (const { sizeBytes } of pieces) used += sizeBytes;
    return used;
  }

  /** Only batches of data topics count: state is what a capture needs to go on. @throws DataTraceError `log.full`. */
  async demand(batches: readonly RecordBatch[], signal?: AbortSignal): Promise<void> {
    let wanted = 0;
    for (const batch of batches) {
      if (!(await this.#isData(batch.topic, signal))) continue;
      wanted += batch.bytes.byteLength;
      await this.#meet(batch, signal);
    }
    if (wanted === 0 || this.usedBytes + wanted <= this.#maxSizeBytes) return;
    await this.#dropReleased(signal);
    if (this.usedBytes + wanted <= this.#maxSizeBytes) return;
    throw new DataTraceError("log.full", { detail: { usedBytes: this.usedBytes, maxSizeBytes: this.#maxSizeBytes } });
  }

  note(batches: readonly RecordBatch[], ranges: readonly AppendedRange[]): void {
    for (const range of ranges) {
      const held = this.#held.get(placeName(range));
      if (held === undefined) continue;
      const own = batches.filter(({ topic, partition }) => topic === range.topic && partition === range.partition);
      held.pieces.push({ last: range.last, sizeBytes: own.reduce((sum, { bytes }) => sum + bytes.byteLength, 0) });
    }
  }

  async #meet({ topic, partition }: TopicPartition, signal: AbortSignal | undefined): Promise<void> {
    const name = placeName({ topic, partition });
    if (this.#held.has(name)) return;
    const place = { topic, partition };
    const bounds = (await readBounds(this.#cluster, [place], signal)).get(name);
    const empty = bounds === undefined || bounds.earliest === bounds.end;
    const sizeBytes = empty ? 0 : ((await readLogSizes(this.#cluster, [topic], signal)).get(name) ?? 0);
    this.#held.set(name, { place, pieces: empty ? [] : [{ last: bounds.end - 1n, sizeBytes }] });
  }

  async #dropReleased(signal: AbortSignal | undefined): Promise<void> {
    const all = [...this.#held.values()];
    try {
      const bounds = await readBounds(
        this.#cluster,
        all.map(({ place }) => place),
        signal,
      );
      for (const held of all) {
        const earliest = bounds.get(placeName(held.place))?.earliest ?? 0n;
        held.pieces = held.pieces.filter(({ last }) => last >= earliest);
      }
    } catch (error) {
      if (!(error instanceof DataTraceError) || error.code !== "log.topic_unknown") throw error;
      // One of them was deleted: each is looked at again when it is written to.
      this.#held.clear();
      throw new DataTraceError("log.full", { detail: { maxSizeBytes: this.#maxSizeBytes } });
    }
  }
}
