import type { EndAddress } from "@datatrace/capture";
import { tableId } from "@datatrace/core";
import type { Sink, TopicPartition } from "@datatrace/core";
import { openDelivery } from "@datatrace/delivery";
import type { Delivery, DeliveryStatus } from "@datatrace/delivery";
import type { PartError, PartMetrics, PartState, Task } from "@datatrace/runtime";
import { openSink } from "../open-connectors.ts";
import { captureId, deliveryId } from "../part-names.ts";
import { targetFor } from "../task-tables.ts";
import { RecentLatencies } from "./recent-latencies.ts";
import type { PartContext, PartLook, RunPart } from "./run-part.ts";

/** Longer than between two looks at the parts, shorter than what a person would call "now". */
const rateWindowMs = 2_000;

/** A table that has stopped on its way to the target, and why. */
export interface StoppedTable extends PartError {
  readonly at: string;
}

/** One task's delivery to one target in this process. */
export class DeliveryPart implements RunPart {
  readonly role = "delivery";
  readonly name: string;
  readonly task: Task;
  readonly target: string;
  readonly latencies = new RecentLatencies();
  readonly #id: string;
  readonly #sink: Sink;
  readonly #delivery: Delivery;
  readonly #metrics: PartMetrics;
  #unapplied = 0;
  #sample = { atMs: performance.now(), rows: 0n, perSecond: 0 };

  constructor(task: Task, target: string, context: PartContext) {
    const { pipeline, log, registry, metrics, signal } = context;
    this.#id = deliveryId(pipeline, task.id, target);
    const logger = context.logger.with({ delivery: this.#id });
    const connector = pipeline.targets.get(target)?.type ?? "";
    const names = { connector, endpoint: target, task: task.id, pipeline: pipeline.name };
    const part = metrics.part({ direction: "delivery", ...names });
    this.name = `delivery ${task.id} to ${target}`;
    this.task = task;
    this.target = target;
    this.#metrics = part;
    this.#sink = openSink(pipeline, task, target, logger);
    this.#delivery = openDelivery({
      delivery: this.#id,
      capture: captureId(pipeline, task.from),
      log,
      registry,
      sink: this.#sink,
      target: (table) => targetFor(task, table),
      strategy: task.sync.tableExistsStrategy,
      errorStrategy: task.sync.errorStrategy,
      batchRows: task.sync.batchRows,
      parallelApplies: task.sync.threads,
      logger,
      observer: {
        applied: ({ rows, sizeBytes, seconds }) => part.batch(rows, sizeBytes, seconds),
        latency: (seconds) => {
          part.latency(seconds);
          this.latencies.add(seconds);
        },
        retried: (code) => part.retried(code),
        quarantined: (rows) => {
          part.quarantined(rows);
          this.#unapplied += rows;
        },
        lag: (rows, seconds, parkedKeys) => {
          part.lagRows(rows);
          part.lagSeconds(seconds);
          part.parkedKeys(parkedKeys);
        },
      },
      signal,
    });
  }

  async run(): Promise<void> {
    await this.#delivery.run();
  }

  look(): PartLook {
    const status = this.#delivery.status();
    const state = partState(status);
    return { state, error: state === "retrying" || state === "failed" ? causeOf(status) : null };
  }

  status(): DeliveryStatus {
    return this.#delivery.status();
  }

  /** Changes per second, lately. */
  rowsPerSecond(): number {
    const { rowsApplied } = this.#delivery.status();
    const nowMs = performance.now();
    const passedMs = nowMs - this.#sample.atMs;
    if (passedMs >= rateWindowMs) {
      const perSecond = (Number(rowsApplied - this.#sample.rows) * 1000) / passedMs;
      this.#sample = { atMs: nowMs, rows: rowsApplied, perSecond };
    }
    return this.#sample.perSecond;
  }

  /** Resolves when everything up to these addresses is applied, or its table has stopped. Answers those of tables that go on. */
  async appliedThrough(ends: readonly EndAddress[], signal: AbortSignal): Promise<readonly EndAddress[]> {
    for (let waiting = ends; ;) {
      try {
        await this.#delivery.appliedThrough(waiting, signal);
        return waiting;
      } catch (error) {
        const stopped = new Set(this.stoppedTables().map(({ topic }) => topic));
        const others = waiting.filter(({ topic }) => !stopped.has(topic));
        if (signal.aborted || others.length === waiting.length) throw error;
        waiting = others;
      }
    }
  }

  /** Offsets as the target has stored them. */
  async progress(signal: AbortSignal): Promise<readonly (TopicPartition & { readonly next: bigint })[]> {
    return await this.#sink.progress(this.#id, signal);
  }

  /** Tables of which nothing more is applied. */
  stoppedTables(): readonly (StoppedTable & { readonly topic: string })[] {
    return this.#delivery.status().tables.flatMap(({ table, topic, state, error }) => {
      if (state !== "failed" || error === null) return [];
      const { code, message, fix } = error;
      return [{ at: `${tableId(table)} to ${this.target}`, topic, code, message, fix }];
    });
  }

  /** Changes that were put into quarantine or skipped by this process, or wait there since earlier ones. */
  unappliedRows(): number {
    return Math.max(this.#unapplied, this.#delivery.status().parkedKeys);
  }

  async collect(): Promise<void> {
    const { tables } = this.#delivery.status();
    this.#metrics.delivered((state) => tables.filter((table) => table.state === state).length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#delivery[Symbol.asyncDispose]();
    await this.#sink[Symbol.asyncDispose]();
    this.#metrics.close();
  }
}

function partState({ state, tables, lastError }: DeliveryStatus): PartState {
  switch (state) {
    case "paused":
    case "failed":
      return "failed";
    case "running":
      return tables.some((table) => table.state === "retrying") ? "retrying" : "running";
    case "starting":
      return lastError === null ? "starting" : "retrying";
    case "stopped":
      return "stopped";
  }
}

/** What is in the way of a partition now; else the last trouble. */
function causeOf({ tables, lastError }: DeliveryStatus): PartError | null {
  const causes = tables.flatMap(({ partitions }) => partitions.map(({ cause }) => cause));
  return causes.find((cause) => cause !== null) ?? lastError;
}
