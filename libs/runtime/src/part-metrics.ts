import type { ErrorCode, TablePhase } from "@datatrace/core";
import type { Instruments } from "./instruments.ts";

export interface PartLabels {
  readonly direction: "capture" | "delivery";
  /** Such as `postgres`. */
  readonly connector: string;
  /** Name of the source or target in the pipeline file. */
  readonly endpoint: string;
  /** Empty for a capture, which serves all tasks of its source. */
  readonly task: string;
  /** Shown by a process that runs several pipelines only. */
  readonly pipeline: string;
}

const phases: readonly TablePhase[] = ["pending", "snapshotting", "streaming", "done", "parked"];

type DeliveredState = "running" | "retrying" | "failed";

const deliveredStates: readonly DeliveredState[] = ["running", "retrying", "failed"];

/** What one capture or one delivery reports. Called on the data path: each label set is looked up once, here. */
export class PartMetrics {
  readonly #instruments: Instruments;
  readonly #labels: Readonly<Partial<Record<keyof PartLabels, string>>>;
  readonly #rows: ReturnType<Instruments["rows"]["labels"]>;
  readonly #bytes: ReturnType<Instruments["bytes"]["labels"]>;
  readonly #batchRows: ReturnType<Instruments["batchRows"]["labels"]>;
  readonly #batchSeconds: ReturnType<Instruments["batchSeconds"]["labels"]>;
  readonly #quarantined: ReturnType<Instruments["quarantined"]["labels"]>;
  readonly #latency: ReturnType<Instruments["latency"]["labels"]> | null;

  constructor(instruments: Instruments, { pipeline, ...labels }: PartLabels, showPipeline: boolean) {
    this.#instruments = instruments;
    this.#labels = showPipeline ? { ...labels, pipeline } : labels;
    this.#rows = instruments.rows.labels(this.#labels);
    this.#bytes = instruments.bytes.labels(this.#labels);
    this.#batchRows = instruments.batchRows.labels(this.#labels);
    this.#batchSeconds = instruments.batchSeconds.labels(this.#labels);
    this.#quarantined = instruments.quarantined.labels(this.#labels);
    this.#latency = labels.direction === "delivery" ? instruments.latency.labels(this.#labels) : null;
    // What has not happened yet shows as 0, so that a first time is an increase.
    for (const counter of [this.#rows, this.#bytes, this.#quarantined]) counter.inc(0);
    for (const histogram of [instruments.batchRows, instruments.batchSeconds]) histogram.zero(this.#labels);
    if (labels.direction === "delivery") instruments.latency.zero(this.#labels);
  }

  /** The part is no part of this process any more: what it said of the present does not hold. Counters stay. */
  close(): void {
    const { lagRows, lagBytes, lagSeconds, retainedBytes, parkedKeys, snapshotRows, snapshotEstimate, tables } =
      this.#instruments;
    for (const gauge of [lagRows, lagBytes, lagSeconds, retainedBytes, parkedKeys, snapshotRows, snapshotEstimate]) {
      gauge.remove(this.#labels);
    }
    for (const phase of [...phases, ...deliveredStates]) tables.remove({ ...this.#labels, phase });
  }

  /** One append or one target transaction that is durable. */
  batch(rows: number, sizeBytes: number, seconds: number): void {
    this.#rows.inc(rows);
    this.#bytes.inc(sizeBytes);
    // One that only moves the position says nothing about batches.
    if (rows === 0) return;
    this.#batchRows.observe(rows);
    this.#batchSeconds.observe(seconds);
  }

  latency(seconds: number): void {
    this.#latency?.observe(Math.max(0, seconds));
  }

  retried(code: ErrorCode): void {
    this.#instruments.retries.inc({ ...this.#labels, code });
  }

  quarantined(rows: number): void {
    this.#quarantined.inc(rows);
  }

  parkedKeys(keys: number): void {
    this.#instruments.parkedKeys.set(this.#labels, keys);
  }

  lagRows(rows: number): void {
    this.#instruments.lagRows.set(this.#labels, rows);
  }

  lagBytes(sizeBytes: number): void {
    this.#instruments.lagBytes.set(this.#labels, sizeBytes);
  }

  lagSeconds(seconds: number): void {
    this.#instruments.lagSeconds.set(this.#labels, Math.max(0, seconds));
  }

  retainedBytes(sizeBytes: number): void {
    this.#instruments.retainedBytes.set(this.#labels, sizeBytes);
  }

  tables(inPhase: (phase: TablePhase) => number): void {
    for (const phase of phases) this.#instruments.tables.set({ ...this.#labels, phase }, inPhase(phase));
  }

  /** Tables of a delivery, by how they are there. */
  delivered(inState: (state: DeliveredState) => number): void {
    for (const state of deliveredStates)
      this.#instruments.tables.set({ ...this.#labels, phase: state }, inState(state));
  }

  snapshot(rows: number, estimatedRows: number): void {
    this.#instruments.snapshotRows.set(this.#labels, rows);
    this.#instruments.snapshotEstimate.set(this.#labels, estimatedRows);
  }
}
