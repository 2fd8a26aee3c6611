import { parsePublishedTable, stateTopic } from "@datatrace/core";
import type { EventLog, PublishedTable } from "@datatrace/core";
import { Client } from "pg";
import { shopCapture, shopDelivery } from "./shop-pipeline.ts";

/** What the log and the target say about the pipeline, whichever of its processes are alive. */
export interface Progress {
  readonly tables: readonly PublishedTable[];
  /** Records in the log that the target has not applied; null while the target cannot say. */
  readonly lagRows: number | null;
}

/** Looks into the pipeline's log from outside, as a reader of nothing: it holds no group and no lock. */
export class ProgressReader implements AsyncDisposable {
  readonly #log: EventLog;
  readonly #targetUrl: string;

  /** The log is closed with it. */
  constructor(log: EventLog, targetUrl: string) {
    this.#log = log;
    this.#targetUrl = targetUrl;
  }

  async read(signal: AbortSignal): Promise<Progress> {
    return { tables: await this.#tables(signal), lagRows: await this.#lag(signal) };
  }

  async #tables(signal: AbortSignal): Promise<readonly PublishedTable[]> {
    const state = stateTopic(shopCapture);
    if ((await this.#log.topic(state, signal)) === null) return [];
    const records = await this.#log.latestByKey(state, signal);
    return records.flatMap(({ key, value }) => parsePublishedTable(key, value) ?? []);
  }

  async #lag(signal: AbortSignal): Promise<number | null> {
    const applied = await appliedOffsets(this.#targetUrl);
    if (applied === null) return null;
    let lag = 0n;
    for (const { topic, partition, end } of await this.#log.groupProgress(shopDelivery, signal)) {
      lag += end - (applied.get(`${topic}/${partition}`) ?? 0n);
    }
    return Number(lag);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#log[Symbol.asyncDispose]();
  }
}

/** Null while the target is down or has not been claimed yet. */
async function appliedOffsets(url: string): Promise<ReadonlyMap<string, bigint> | null> {
  const client = new Client({ connectionString: url, application_name: "datatrace demo" });
  client.on("error", () => undefined);
  try {
    await client.connect();
    const result = await client.query<{ place: string; next_offset: string }>(
      `SELECT topic || '/' || partition AS place, next_offset FROM datatrace._datatrace_offsets WHERE delivery = $1`,
      [shopDelivery],
    );
    return new Map(result.rows.map((row) => [row.place, BigInt(row.next_offset)]));
  } catch {
    return null;
  } finally {
    await client.end().catch(() => undefined);
  }
}
