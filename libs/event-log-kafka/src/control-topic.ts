import type { LogRecord } from "@datatrace/core";

import { codes, demandSuccess } from "./broker-error.ts";
import type { Cluster } from "./cluster.ts";
import { createTopic } from "./topic-creation.ts";
import { placeName, readBounds } from "./offsets.ts";
import { scanPartition } from "./partition-scan.ts";
import { Production } from "./production.ts";
import { encodeBatches, seal } from "./record-batch.ts";
import { maxMessageBytes } from "./topic-settings.ts";

/** A compacted topic of the log itself, one partition, of text by text: read whole once, then what has been added. */
export class ControlTopic {
  readonly name: string;
  readonly #cluster: Cluster;
  readonly #entries = new Map<string, string>();
  #next: bigint | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(cluster: Cluster, name: string) {
    this.#cluster = cluster;
    this.name = name;
  }

  /** Makes the topic when it is not there. */
  async ensure(signal?: AbortSignal): Promise<void> {
    await this.#cluster.persist(async () => {
      await this.#cluster.refresh([this.name]);
      if (this.#cluster.metadata.topic(this.name) !== undefined) return;
      await createTopic(this.#cluster, { name: this.name, partitions: 1, cleanup: "compact" });
      await this.#cluster.refresh([this.name]);
      demandSuccess(
        "Metadata",
        this.#cluster.metadata.topic(this.name) === undefined ? codes.leaderNotAvailable : codes.none,
      );
    }, signal);
  }

  /** Everything that was committed before the call, by key; what was deleted is left out. */
  async read(signal?: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const reading = this.#turn.then(() => this.#readOn(signal));
    this.#turn = reading.catch(() => undefined);
    await reading;
    return this.#entries;
  }

  /** Writes entries, deletes those that are null; in one batch, so that all come or none. */
  async write(entries: readonly (readonly [key: string, value: string | null])[], signal?: AbortSignal): Promise<void> {
    if (entries.length === 0) return;
    const batches = encodeBatches(
      entries.map(([key, value]) => this.record(key, value)),
      maxMessageBytes,
    );
    for (const batch of batches) seal(batch, null, 0);
    const production = new Production(this.#cluster, null);
    for (const batch of batches) await production.send([batch], signal);
  }

  record(key: string, value: string | null): LogRecord {
    return {
      topic: this.name,
      partition: 0,
      key: Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
    };
  }

  async #readOn(signal: AbortSignal | undefined): Promise<void> {
    const place = { topic: this.name, partition: 0 };
    const bounds = (await readBounds(this.#cluster, [place], signal)).get(placeName(place));
    const from = this.#next ?? bounds?.earliest ?? 0n;
    this.#next = await scanPartition(
      this.#cluster,
      place,
      from,
      bounds?.end ?? 0n,
      (records) => {
        for (const { key, value } of records) {
          const name = Buffer.from(key ?? []).toString("utf8");
          if (value === null) this.#entries.delete(name);
          else this.#entries.set(name, Buffer.from(value).toString("utf8"));
        }
      },
      signal,
    );
  }
}
