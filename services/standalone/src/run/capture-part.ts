import { openCapture } from "@datatrace/capture";
import type { Capture, CaptureState, EndAddress, TableSelection } from "@datatrace/capture";
import type { CaptureSource } from "@datatrace/core";
import type { Endpoint, PartMetrics, PartState } from "@datatrace/runtime";
import { openSource, threadsOf } from "../open-connectors.ts";
import { captureId, topicPrefix } from "../part-names.ts";
import type { PartContext, PartLook, RunPart } from "./run-part.ts";
import { tasksOf } from "../task-tables.ts";

const states: Readonly<Record<CaptureState, PartState>> = {
  starting: "starting",
  running: "running",
  retrying: "retrying",
  finished: "finished",
  stopped: "stopped",
  failed: "failed",
};

/** The capture of one source in this process. */
export class CapturePart implements RunPart {
  readonly role = "capture";
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly capture: Capture;
  readonly #source: CaptureSource;
  readonly #metrics: PartMetrics;

  constructor(endpoint: Endpoint, tables: TableSelection, context: PartContext) {
    const { pipeline, log, registry, metrics, signal } = context;
    const id = captureId(pipeline, endpoint.id);
    const logger = context.logger.with({ capture: id });
    const part = metrics.part({
      direction: "capture",
      connector: endpoint.type,
      endpoint: endpoint.id,
      task: "",
      pipeline: pipeline.name,
    });
    this.name = `capture ${endpoint.id}`;
    this.endpoint = endpoint;
    this.#metrics = part;
    this.#source = openSource(pipeline, endpoint, logger);
    this.capture = openCapture({
      capture: id,
      prefix: topicPrefix(pipeline),
      source: this.#source,
      log,
      registry,
      tables,
      // The file's checks let only one mode per source through.
      mode: tasksOf(pipeline, endpoint.id)[0]?.mode ?? "snapshot+stream",
      parallelChunks: threadsOf(pipeline, endpoint.id),
      logger,
      observer: {
        appended: ({ rows, sizeBytes, seconds }) => part.batch(rows, sizeBytes, seconds),
        retried: (code) => part.retried(code),
        lag: (bytes, seconds) => {
          part.lagBytes(bytes);
          part.lagSeconds(seconds);
        },
      },
      signal,
    });
  }

  async run(): Promise<void> {
    await this.capture.run();
  }

  look(): PartLook {
    const { state, lastError } = this.capture.status();
    return { state: states[state], error: state === "retrying" || state === "failed" ? lastError : null };
  }

  /** @see Capture.caughtUp */
  async caughtUp(signal: AbortSignal): Promise<readonly EndAddress[]> {
    return await this.capture.caughtUp(signal);
  }

  async collect(signal: AbortSignal): Promise<void> {
    const { tables } = this.capture.status();
    this.#metrics.tables((phase) => tables.filter((table) => table.phase === phase).length);
    this.#metrics.snapshot(
      tables.reduce((sum, { rowsRead }) => sum + rowsRead, 0),
      tables.reduce((sum, { rowsRead, estimatedRows }) => sum + Math.max(rowsRead, estimatedRows), 0),
    );
    try {
      const { retainedBytes } = await this.#source.stream(signal);
      if (retainedBytes !== undefined) this.#metrics.retainedBytes(retainedBytes);
    } catch {
      // A source that does not answer shows in the part's state and retries; the last value stays.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.capture[Symbol.asyncDispose]();
    await this.#source[Symbol.asyncDispose]();
    this.#metrics.close();
  }
}
