import { formatByteSize } from "@datatrace/runtime";
import { etaSeconds, etaText } from "../eta.ts";
import { countText } from "../text-table.ts";

/** What a run shows at one moment. */
export interface RunView {
  readonly captures: readonly CaptureView[];
  readonly deliveries: readonly DeliveryView[];
}

export interface CaptureView {
  readonly source: string;
  readonly state: string;
  readonly tables: { readonly all: number; readonly snapshotting: number; readonly parked: number };
  /** Of the tables whose snapshot is not complete. */
  readonly snapshot: { readonly rows: number; readonly estimatedRows: number; readonly rowsPerSecond: number };
  readonly lagBytes: number;
  readonly lagSeconds: number;
  readonly problem: string | null;
}

export interface DeliveryView {
  readonly task: string;
  readonly target: string;
  readonly state: string;
  readonly lagRows: number | null;
  readonly rowsPerSecond: number;
  readonly p50Seconds: number | null;
  readonly p99Seconds: number | null;
  readonly problem: string | null;
}

const barWidth = 30;

/** Lines for a terminal. A bar while snapshots run, then lag and latency. */
export function renderRun({ captures, deliveries }: RunView): readonly string[] {
  return [...captures.flatMap(captureLines), ...deliveries.flatMap(deliveryLines)];
}

function captureLines(view: CaptureView): readonly string[] {
  const { tables, snapshot } = view;
  const parked = tables.parked === 0 ? "" : `, ${tables.parked} stopped`;
  const behind = `behind ${formatByteSize(view.lagBytes)}, ${view.lagSeconds.toFixed(1)} s`;
  const head = `capture ${view.source}: ${view.state}, ${tables.all} tables${parked}, ${behind}`;
  const bar = tables.snapshotting === 0 ? [] : [`  snapshot ${bar30(snapshot)} ${snapshotText(snapshot)}`];
  return [head, ...bar, ...problemLine(view.problem)];
}

function bar30({ rows, estimatedRows }: CaptureView["snapshot"]): string {
  // The estimate may be short; only the end of the snapshot is all of it.
  const share = Math.min(0.99, rows / Math.max(1, estimatedRows));
  const filled = Math.floor(share * barWidth);
  return `${"█".repeat(filled)}${"░".repeat(barWidth - filled)} ${String(Math.floor(share * 100)).padStart(2)} %`;
}

function snapshotText({ rows, estimatedRows, rowsPerSecond }: CaptureView["snapshot"]): string {
  // Before the first rate nothing is known about the time; a person would read "never" as an error.
  const eta =
    rowsPerSecond > 0 ? `, left: ${etaText(etaSeconds(Math.max(1, estimatedRows - rows), rowsPerSecond))}` : "";
  return `${countText(rows)} of about ${countText(Math.max(rows, estimatedRows))} rows, ${countText(rowsPerSecond)} rows/s${eta}`;
}

function deliveryLines(view: DeliveryView): readonly string[] {
  const latency =
    view.p50Seconds === null
      ? ""
      : `, latency p50 ${milliseconds(view.p50Seconds)} p99 ${milliseconds(view.p99Seconds ?? 0)}`;
  const head = `delivery ${view.task} to ${view.target}: ${view.state}, ${countText(view.lagRows)} rows to go, ${countText(view.rowsPerSecond)} rows/s${latency}`;
  return [head, ...problemLine(view.problem)];
}

function milliseconds(seconds: number): string {
  const value = seconds * 1000;
  return value < 10 ? `${value.toFixed(1)} ms` : `${countText(value)} ms`;
}

function problemLine(problem: string | null): readonly string[] {
  return problem === null ? [] : [`  ${problem}`];
}
