import { Counter, Gauge, Histogram } from "prom-client";
import type { Registry } from "prom-client";

/** What distinguishes the parts of a process. Never a table or a key: their number has no bound. */
const part = ["direction", "connector", "endpoint", "task", "pipeline"] as const;

const seconds = [0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.125, 0.25, 0.5, 1, 2, 5, 15, 60];
const rows = [1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

/** Every instrument that a part has, once. The names are a public contract: dashboards and alerts use them. */
export function createInstruments(registry: Registry) {
  const registers = [registry];
  const labelNames = [...part];
  return {
    rows: new Counter({
      name: "datatrace_rows_total",
      help: "Row changes appended to the log (direction capture) or applied to the target (direction delivery).",
      labelNames,
      registers,
    }),
    bytes: new Counter({
      name: "datatrace_bytes_total",
      help: "Bytes of the keys and values of these changes.",
      labelNames,
      registers,
    }),
    batchRows: new Histogram({
      name: "datatrace_batch_rows",
      help: "Rows per append to the log or per transaction in the target.",
      labelNames,
      buckets: rows,
      registers,
    }),
    batchSeconds: new Histogram({
      name: "datatrace_batch_seconds",
      help: "Duration of an append to the log or of a transaction in the target.",
      labelNames,
      buckets: seconds,
      registers,
    }),
    retries: new Counter({
      name: "datatrace_retries_total",
      help: "Tries that failed and are repeated, by error code.",
      labelNames: [...labelNames, "code"],
      registers,
    }),
    lagRows: new Gauge({
      name: "datatrace_lag_rows",
      help: "Records in the log that the target has not applied yet.",
      labelNames,
      registers,
    }),
    lagBytes: new Gauge({
      name: "datatrace_lag_bytes",
      help: "Bytes of the source's log that are not captured yet.",
      labelNames,
      registers,
    }),
    lagSeconds: new Gauge({
      name: "datatrace_lag_seconds",
      help: "Age of the oldest change that is not captured (direction capture) or not applied (direction delivery).",
      labelNames,
      registers,
    }),
    retainedBytes: new Gauge({
      name: "datatrace_slot_retained_bytes",
      help: "Bytes of its log that the source keeps for this capture.",
      labelNames,
      registers,
    }),
    quarantined: new Counter({
      name: "datatrace_quarantined_rows_total",
      help: "Rows that were not applied: put into quarantine or skipped.",
      labelNames,
      registers,
    }),
    parkedKeys: new Gauge({
      name: "datatrace_quarantine_keys",
      help: "Keys whose changes wait in quarantine.",
      labelNames,
      registers,
    }),
    latency: new Histogram({
      name: "datatrace_commit_to_applied_seconds",
      help: "From the commit in the source to the commit in the target, per streamed change. Needs clocks that agree.",
      labelNames,
      buckets: seconds,
      registers,
    }),
    tables: new Gauge({
      name: "datatrace_tables",
      help: "Tables, by phase (direction capture) or by state: running, retrying, failed (direction delivery).",
      labelNames: [...labelNames, "phase"],
      registers,
    }),
    snapshotRows: new Gauge({
      name: "datatrace_snapshot_rows",
      help: "Rows that snapshots have read.",
      labelNames,
      registers,
    }),
    snapshotEstimate: new Gauge({
      name: "datatrace_snapshot_rows_estimated",
      help: "Rows that the tables of snapshots hold, as the source estimates.",
      labelNames,
      registers,
    }),
  };
}

export type Instruments = ReturnType<typeof createInstruments>;
