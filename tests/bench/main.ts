import { startPostgres, temporaryDirectory, waitFor } from "@datatrace/testkit";
import { Client } from "pg";
import { BenchPipeline, batchRows, partitions } from "./bench-pipeline.ts";
import { benchSchema, benchTableDdl, fillBenchTable } from "./bench-table.ts";
import { probeLatency } from "./latency-probe.ts";
import { parseBenchOptions } from "./options.ts";
import { serverCpuSeconds } from "./process-usage.ts";
import { rawAppend } from "./raw-append.ts";
import { rawCopy } from "./raw-copy.ts";
import { rawStream } from "./raw-stream.ts";
import { rawUpsert } from "./raw-upsert.ts";
import { passes, rounded } from "./result.ts";
import type { BenchResult } from "./result.ts";

/**
 * Speed, next to the limits of the same machine in the same run. A line of JSON per bench; the last line says how many
 * passed. Only ratios can fail: absolute numbers tell more about the machine than about the code.
 */

const options = parseBenchOptions(process.argv.slice(2));
const { rows } = options;
const results: BenchResult[] = [];
/** About what a row of the bench takes in the log, with its key. */
const recordBytes = 250;

function report(result: BenchResult): void {
  results.push(result);
  process.stdout.write(`${JSON.stringify({ ...result, pass: passes(result) })}\n`);
}

function perSecond(count: number, ms: number): number {
  return rounded((count * 1_000) / ms);
}

await using folder = await temporaryDirectory("bench");
await using source = await startPostgres({ major: 18, durable: true, settings: { max_wal_size: "4GB" } });
await using target = await startPostgres({ major: 18, durable: true, settings: { max_wal_size: "4GB" } });
const sourceClient = new Client({ connectionString: source.url });
const targetClient = new Client({ connectionString: target.url });
for (const client of [sourceClient, targetClient]) {
  // When a bench throws, the servers end before these do; the first error is the one to see.
  client.on("error", () => undefined);
  await client.connect();
}
const urls = { sourceUrl: source.url, targetUrl: target.url, folder: folder.path, profile: options.profile };

await sourceClient.query(benchTableDdl("rows"));
await fillBenchTable(sourceClient, "rows", 1, rows);
await sourceClient.query("VACUUM ANALYZE bench.rows");

if (options.wants("snapshot") || options.wants("drain") || options.wants("upsert")) {
  await using pipeline = await BenchPipeline.open({ ...urls, name: "bench", table: "rows" });
  await benchSnapshot(pipeline);
  if (options.wants("drain")) await benchDrain(pipeline);
  if (options.wants("upsert")) await benchUpsert(pipeline);
}
if (options.wants("whole")) await benchWhole();
if (options.wants("latency")) await benchLatency();
await sourceClient.end();
await targetClient.end();

const failed = results.filter((result) => !passes(result));
process.stdout.write(`${results.length - failed.length} passed, ${failed.length} failed\n`);
process.exitCode = failed.length === 0 ? 0 : 1;

// The marks of the short form are for few rows, start-up included: they notice a hot path that broke, not a slow day.
async function benchSnapshot(pipeline: BenchPipeline): Promise<void> {
  const copy = await rawCopy(source.url, `${benchSchema}.rows`);
  const append = rawAppend(folder.path, rows, batchRows, recordBytes);
  await using run = pipeline.start("capture");
  const seconds = await pipeline.secondsUntil(async () => await pipeline.logged(), 0, rows, run);
  const usage = run.usage();
  report({
    bench: "snapshot into the log",
    measured: {
      rows,
      rows_per_s: rounded(rows / seconds),
      cpu_s_per_million: rounded((usage.cpuSeconds * 1e6) / rows),
      peak_rss_mib: rounded(usage.peakRssMiB),
    },
    raw: { copy_rows_per_s: perSecond(copy.rows, copy.ms), append_rows_per_s: perSecond(append.rows, append.ms) },
    ratio: rounded(rows / seconds / ((copy.rows * 1_000) / copy.ms)),
    mark: options.short ? 0.04 : 0.1,
    aim: "100000 rows/s",
  });
}

async function benchDrain(pipeline: BenchPipeline): Promise<void> {
  await sourceClient.query(`CREATE PUBLICATION bench_raw FOR TABLE ${benchSchema}.rows`);
  await sourceClient.query("SELECT pg_create_logical_replication_slot('bench_raw', 'pgoutput')");
  await fillBenchTable(sourceClient, "rows", rows + 1, 2 * rows);
  const stream = await rawStream(source.url, "bench_raw", "bench_raw", rows);
  // The server notices only after a moment that the reader has gone.
  await waitFor(
    async () =>
      (await sourceClient.query("SELECT FROM pg_replication_slots WHERE active AND slot_name = 'bench_raw'"))
        .rowCount === 0,
    { deadlineMs: 30_000, what: "the raw slot to be free" },
  );
  await sourceClient.query("SELECT pg_drop_replication_slot('bench_raw')");
  const before = await pipeline.logged();
  await using run = pipeline.start("capture");
  const seconds = await pipeline.secondsUntil(async () => await pipeline.logged(), before, before + rows, run);
  const usage = run.usage();
  report({
    bench: "drain of the stream into the log",
    measured: {
      rows,
      rows_per_s: rounded(rows / seconds),
      cpu_s_per_million: rounded((usage.cpuSeconds * 1e6) / rows),
      peak_rss_mib: rounded(usage.peakRssMiB),
    },
    raw: { pgoutput_rows_per_s: perSecond(stream.rows, stream.ms) },
    ratio: rounded(rows / seconds / ((stream.rows * 1_000) / stream.ms)),
    mark: options.short ? 0.1 : 0.3,
    aim: "100000 rows/s",
  });
}

async function benchUpsert(pipeline: BenchPipeline): Promise<void> {
  const inLog = await pipeline.logged();
  await targetClient.query(benchTableDdl("raw"));
  const rawServer = serverCpu();
  const raw = await rawUpsert(target.url, "raw", inLog, batchRows, partitions);
  const rawServerSeconds = rawServer();
  await targetClient.query(`DROP TABLE ${benchSchema}.raw, ${benchSchema}.raw_offsets`);
  const server = serverCpu();
  await using run = pipeline.start("sink");
  const seconds = await pipeline.secondsUntil(async () => await pipeline.applied(), 0, inLog, run);
  const usage = run.usage();
  const serverSeconds = server();
  report({
    bench: "log to PostgreSQL upserts",
    measured: {
      rows: inLog,
      rows_per_s: rounded(inLog / seconds),
      cpu_s_per_million: rounded((usage.cpuSeconds * 1e6) / inLog),
      server_cpu_s_per_million: rounded((serverSeconds * 1e6) / inLog),
      peak_rss_mib: rounded(usage.peakRssMiB),
    },
    raw: {
      pg_alone_rows_per_s: perSecond(raw.rows, raw.ms),
      server_cpu_s_per_million: rounded((rawServerSeconds * 1e6) / inLog),
    },
    ratio: rounded(inLog / seconds / ((raw.rows * 1_000) / raw.ms)),
    mark: options.short ? 0.2 : 0.7,
    aim: "0.7 of pg alone with the same statements",
  });
}

/** CPU seconds of the target's server from now on; NaN where the system does not tell. */
function serverCpu(): () => number {
  const before = serverCpuSeconds(target.pid);
  return () => (serverCpuSeconds(target.pid) ?? Number.NaN) - (before ?? Number.NaN);
}

/** Everything in one process, from the snapshot to the target. */
async function benchWhole(): Promise<void> {
  await sourceClient.query(benchTableDdl("whole"));
  await sourceClient.query(`INSERT INTO ${benchSchema}.whole SELECT * FROM ${benchSchema}.rows WHERE id <= ${rows}`);
  await sourceClient.query(`VACUUM ANALYZE ${benchSchema}.whole`);
  await using pipeline = await BenchPipeline.open({ ...urls, name: "whole", table: "whole" });
  await using run = pipeline.start("standalone");
  const seconds = await pipeline.secondsUntil(async () => await pipeline.applied(), 0, rows, run);
  const usage = run.usage();
  report({
    bench: "one process, source to target",
    measured: {
      rows,
      rows_per_s: rounded(rows / seconds),
      cpu_s_per_million: rounded((usage.cpuSeconds * 1e6) / rows),
      peak_rss_mib: rounded(usage.peakRssMiB),
    },
    raw: {},
    ratio: null,
    mark: null,
    aim: "less than 250 MiB",
  });
}

async function benchLatency(): Promise<void> {
  await sourceClient.query(benchTableDdl("latency"));
  await using pipeline = await BenchPipeline.open({ ...urls, name: "latency", table: "latency" });
  await targetClient.query(benchTableDdl("probe"));
  await using run = pipeline.start("standalone");
  let firstId = 1;
  // The table has to exist in the target before it can be watched.
  await sourceClient.query(`INSERT INTO ${benchSchema}.latency VALUES (0, 0, '', 0, 0, now(), '', true, 0, '')`);
  await pipeline.secondsUntil(async () => await pipeline.applied(), 0, 1, run);
  for (const rate of options.rates) {
    const warmUp = rate * 2;
    const load = { firstId, warmUp, transactions: warmUp + rate * options.latencySeconds, transactionsPerSecond: rate };
    const own = await probeLatency(target.url, target.url, "probe", { ...load, transactions: warmUp + rate * 2 });
    const result = await probeLatency(source.url, target.url, "latency", load);
    firstId += load.transactions;
    run.check();
    report({
      bench: `latency at ${rate} transactions/s`,
      measured: {
        transactions_per_s: rounded(result.transactionsPerSecond),
        p50_ms: rounded(result.p50Ms),
        p99_ms: rounded(result.p99Ms),
        max_ms: rounded(result.maxMs),
      },
      raw: { method_p50_ms: rounded(own.p50Ms), method_p99_ms: rounded(own.p99Ms) },
      ratio: null,
      mark: null,
      aim: "p50 8 ms, p99 30 ms",
    });
  }
}
