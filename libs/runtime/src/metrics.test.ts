import { expect, test } from "vitest";
import { Metrics } from "./metrics.ts";

const delivery = {
  direction: "delivery",
  connector: "postgres",
  endpoint: "warehouse",
  task: "orders",
  pipeline: "shop",
} as const;
const labels = 'direction="delivery",connector="postgres",endpoint="warehouse",task="orders"';

test("every instrument shows what was reported", async () => {
  const metrics = new Metrics();
  metrics.collect = () => {
    metrics.ready(true);
    metrics.logSize(5, 10);
    return Promise.resolve();
  };
  const part = metrics.part(delivery);
  part.batch(3, 500, 0.004);
  part.batch(0, 0, 0.004);
  part.latency(0.007);
  part.latency(-1);
  part.retried("sink.connection_lost");
  part.quarantined(2);
  part.parkedKeys(1);
  part.lagRows(9);
  part.lagSeconds(1.5);
  const capture = metrics.part({
    direction: "capture",
    connector: "postgres",
    endpoint: "shop",
    task: "",
    pipeline: "",
  });
  capture.lagBytes(100);
  capture.retainedBytes(200);
  capture.tables((phase) => (phase === "streaming" ? 4 : 0));
  capture.snapshot(10, 20);
  const lines = (await metrics.text()).split("\n");
  const from = 'direction="capture",connector="postgres",endpoint="shop",task=""';
  for (const line of [
    `datatrace_rows_total{${labels}} 3`,
    `datatrace_bytes_total{${labels}} 500`,
    `datatrace_batch_rows_count{${labels}} 1`,
    `datatrace_batch_seconds_sum{${labels}} 0.004`,
    `datatrace_commit_to_applied_seconds_count{${labels}} 2`,
    `datatrace_commit_to_applied_seconds_bucket{le="0.008",${labels}} 2`,
    `datatrace_retries_total{${labels},code="sink.connection_lost"} 1`,
    `datatrace_quarantined_rows_total{${labels}} 2`,
    `datatrace_quarantine_keys{${labels}} 1`,
    `datatrace_lag_rows{${labels}} 9`,
    `datatrace_lag_seconds{${labels}} 1.5`,
    `datatrace_lag_bytes{${from}} 100`,
    `datatrace_slot_retained_bytes{${from}} 200`,
    `datatrace_tables{${from},phase="streaming"} 4`,
    `datatrace_tables{${from},phase="parked"} 0`,
    `datatrace_snapshot_rows{${from}} 10`,
    `datatrace_snapshot_rows_estimated{${from}} 20`,
    'datatrace_log_bytes{kind="used"} 5',
    "datatrace_ready 1",
  ]) {
    expect(lines).toContain(line);
  }
  expect(lines.some((line) => line.startsWith("process_resident_memory_bytes "))).toBe(true);
  expect(lines.some((line) => line.includes(from) && line.startsWith("datatrace_commit_to_applied"))).toBe(false);
});

test("parts of two pipelines with the same names are told apart, and one that leaves takes its present with it", async () => {
  const metrics = new Metrics({ manyPipelines: true });
  const parts = ["one", "two"].map((pipeline) => metrics.part({ ...delivery, pipeline }));
  for (const [index, part] of parts.entries()) {
    part.batch(index + 1, 10, 0.1);
    part.lagRows(index + 5);
    part.lagSeconds(1);
    part.parkedKeys(0);
    part.delivered(() => index);
  }
  const lines = async () => (await metrics.text()).split("\n").filter((line) => line.includes(labels));
  expect(await lines()).toEqual(
    expect.arrayContaining([
      `datatrace_rows_total{${labels},pipeline="one"} 1`,
      `datatrace_rows_total{${labels},pipeline="two"} 2`,
      `datatrace_lag_rows{${labels},pipeline="one"} 5`,
      `datatrace_lag_rows{${labels},pipeline="two"} 6`,
    ]),
  );
  parts[0]?.close();
  const gauges = /^datatrace_(?:lag_|tables|quarantine_keys|slot_|snapshot_)/;
  const left = (await lines()).filter((line) => gauges.test(line));
  expect(left.filter((line) => line.includes('pipeline="one"'))).toEqual([]);
  expect(left.filter((line) => line.includes('pipeline="two"'))).toHaveLength(6);
  expect(await lines()).toContain(`datatrace_rows_total{${labels},pipeline="one"} 1`);
});
