/** What the demo shows at one moment. */
export interface DemoView {
  readonly step: "snapshot" | "live" | "draining";
  readonly elapsedMs: number;
  readonly snapshot: {
    /** Rows applied to the target or read at the source, whichever is known; estimates come from the source's statistics. */
    readonly rows: number;
    readonly estimatedRows: number;
    readonly rowsPerSecond: number;
  };
  readonly live: {
    readonly committed: number;
    readonly committedPerSecond: number;
    /** Records in the log that the target has not applied, null while unknown. */
    readonly lagRows: number | null;
    readonly p50Ms: number | null;
    readonly p99Ms: number | null;
    /** How long the newest change has been on its way. */
    readonly pendingMs: number;
  };
  /** Null without `--kill`. */
  readonly kills: { readonly count: number; readonly last: string } | null;
  /** The newest trouble that has not passed. */
  readonly problem: { readonly code: string; readonly message: string; readonly fix: string } | null;
}

const count = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** Seconds until the snapshot is complete at this rate, null when there is no rate yet. */
export function etaSeconds(snapshot: DemoView["snapshot"]): number | null {
  if (snapshot.rowsPerSecond <= 0) return null;
  return Math.max(0, snapshot.estimatedRows - snapshot.rows) / snapshot.rowsPerSecond;
}

function fractionOf(view: DemoView): number {
  if (view.step !== "snapshot") return 1;
  // The estimate may be short; only the end of the snapshot is 100 %.
  return Math.min(0.99, view.snapshot.rows / Math.max(1, view.snapshot.estimatedRows));
}

function milliseconds(value: number | null): string {
  if (value === null) return "-";
  return value < 10
    ? `${value.toFixed(1)} ms`
    : value < 10_000
      ? `${count.format(value)} ms`
      : `${count.format(value / 1_000)} s`;
}

function eta(view: DemoView): string {
  const seconds = etaSeconds(view.snapshot);
  return seconds === null ? "ETA -" : `ETA ${Math.ceil(seconds)} s`;
}

function snapshotText(view: DemoView): string {
  const { rows, rowsPerSecond } = view.snapshot;
  if (view.step !== "snapshot") return `${count.format(rows)} rows, complete`;
  const percent = Math.floor(fractionOf(view) * 100);
  return `${percent} %  ${count.format(rows)} rows  ${count.format(rowsPerSecond)} rows/s  ${eta(view)}`;
}

function liveText(view: DemoView): string {
  const { live } = view;
  const lag = live.lagRows === null ? "-" : count.format(live.lagRows);
  return (
    `${count.format(live.committed)} transactions, ${count.format(live.committedPerSecond)}/s  lag ${lag} rows` +
    `  latency p50 ${milliseconds(live.p50Ms)}  p99 ${milliseconds(live.p99Ms)}` +
    (live.pendingMs > 1_000 ? `  newest change waits ${milliseconds(live.pendingMs)}` : "")
  );
}

/** The picture for a terminal of this width, a line each, none longer. */
export function renderView(view: DemoView, width: number): readonly string[] {
  const barWidth = Math.max(10, Math.min(40, width - 70));
  const filled = Math.round(fractionOf(view) * barWidth);
  const lines = [
    `snapshot  ${"█".repeat(filled)}${"░".repeat(barWidth - filled)}  ${snapshotText(view)}`,
    `live      ${liveText(view)}`,
  ];
  if (view.kills !== null) lines.push(`kills     ${view.kills.count}  ${view.kills.last}`);
  if (view.problem !== null) {
    lines.push(`problem   ${view.problem.code}: ${view.problem.message}`, `fix       ${view.problem.fix}`);
  }
  return lines.map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
}

/** The same in one line, for an output that is not a terminal. */
export function renderLine(view: DemoView): string {
  const seconds = `${(view.elapsedMs / 1_000).toFixed(0)} s`.padStart(5);
  const kills = view.kills === null ? "" : `  kills ${view.kills.count}`;
  const problem =
    view.problem === null ? "" : `  problem ${view.problem.code}: ${view.problem.message} fix: ${view.problem.fix}`;
  return `${seconds}  ${view.step}  snapshot ${snapshotText(view)}  live ${liveText(view)}${kills}${problem}`;
}
