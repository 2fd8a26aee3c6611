import { invariant } from "@datatrace/core";
import type { PublishedTable } from "@datatrace/core";
import { loadPipeline, StructuredLogger } from "@datatrace/runtime";
import type { Environment, Pipeline } from "@datatrace/runtime";
import { Client } from "pg";
import { connectorSchemas } from "../open-connectors.ts";
import { openLog } from "../open-log.ts";
import type { OpenedLog } from "../open-log.ts";
import { publishedTables } from "../pipeline-state.ts";
import { shopDelivery, shopSource } from "./shop-pipeline.ts";

/** What the log and the target say about the pipeline, whichever of its processes are alive. */
export interface Progress {
  readonly tables: readonly PublishedTable[];
  /** Records in the log that the target has not applied; null while the target cannot say. */
  readonly lagRows: number | null;
}

/** The first look at Kafka makes the topics that all pipelines share. */
const openMs = 60_000;

/** Looks into the pipeline's log from outside, as a reader of nothing: it holds no group and no lock. */
export class ProgressReader implements AsyncDisposable {
  readonly #pipeline: Pipeline;
  readonly #log: OpenedLog;
  readonly #targetUrl: string;

  private constructor(pipeline: Pipeline, log: OpenedLog, targetUrl: string) {
    this.#pipeline = pipeline;
    this.#log = log;
    this.#targetUrl = targetUrl;
  }

  /** `file` and `environment` are those of the pipeline's processes. */
  static async open(file: string, environment: Environment, targetUrl: string): Promise<ProgressReader> {
    const { pipeline } = loadPipeline(file, connectorSchemas, environment);
    invariant(pipeline !== null, "the demo's own file is right");
    // What goes wrong with the log is said by the processes that need it.
    const logger = StructuredLogger.open({ level: "error", destination: { write: () => undefined } });
    return new ProgressReader(pipeline, await openLog(pipeline, logger, AbortSignal.timeout(openMs)), targetUrl);
  }

  async read(signal: AbortSignal): Promise<Progress> {
    return {
      tables: await publishedTables(this.#log, this.#pipeline, shopSource, signal),
      lagRows: await this.#lag(signal),
    };
  }

  async #lag(signal: AbortSignal): Promise<number | null> {
    const applied = await appliedOffsets(this.#targetUrl);
    if (applied === null) return null;
    let lag = 0n;
    for (const { topic, partition, end } of await this.#log.events.groupProgress(shopDelivery, signal)) {
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
