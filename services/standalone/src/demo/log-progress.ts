import { parsePublishedTable } from "@datatrace/core";
import type { PublishedTable } from "@datatrace/core";
import { openSqliteEventLog } from "@datatrace/event-log-sqlite";
import type { SqliteEventLog } from "@datatrace/event-log-sqlite";
import { Client } from "pg";
import { shopDelivery } from "./shop-pipeline.ts";

/** What the log and the target say about the pipeline, whichever of its processes are alive. */
export interface Progress {
  readonly tables: readonly PublishedTable[];
  /** Records in the log that the target has not applied; null while the target cannot say. */
  readonly lagRows: number | null;
}

/** Looks into the pipeline's log from outside, as a reader of nothing: it holds no group and no lock. */
export class ProgressReader implements AsyncDisposable {
  readonly #log: SqliteEventLog;
  readonly #targetUrl: string;

  private constructor(log: SqliteEventLog, targetUrl: string) {
    this.#log = log;
    this.#targetUrl = targetUrl;
  }

  static async open(directory: string, targetUrl: string): Promise<ProgressReader> {
    return new ProgressReader(await openSqliteEventLog({ directory }), targetUrl);
  }

  async read(signal: AbortSignal): Promise<Progress> {
    const states = await this.#log.topics("datatrace.capture.", signal);
    const tables: PublishedTable[] = [];
    for (const topic of states.filter((name) => name.endsWith(".state"))) {
      for (const record of await this.#log.latestByKey(topic, signal)) {
        const table = parsePublishedTable(record.key, record.value);
        if (table !== null) tables.push(table);
      }
    }
    return { tables, lagRows: await this.#lag(tables, signal) };
  }

  async #lag(tables: readonly PublishedTable[], signal: AbortSignal): Promise<number | null> {
    const applied = await appliedOffsets(this.#targetUrl);
    if (applied === null) return null;
    let lag = 0n;
    for (const { topic, partitions } of tables) {
      for (let partition = 0; partition < partitions; partition += 1) {
        const { end } = await this.#log.bounds({ topic, partition }, signal);
        lag += end - (applied.get(`${topic}/${partition}`) ?? 0n);
      }
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
