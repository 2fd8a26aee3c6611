import { randomBytes } from "node:crypto";
import { dataTopic } from "@datatrace/core";
import { PostgresRowReader } from "@datatrace/postgres";
import { testPostgres, waitFor } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import { compareTables } from "@datatrace/verify";
import { afterAll, beforeAll, expect, test } from "vitest";
import { workloadSchema, workloadTables } from "../workload/chaos-tables.ts";
import { readLedger } from "../workload/ledger.ts";
import { LogAudit } from "../workload/log-audit.ts";
import { changeOf } from "../workload/logged-changes.ts";
import { Random } from "../workload/random.ts";
import { Workload } from "../workload/workload.ts";
import { KafkaBed } from "./kafka-bed.ts";
import { PipelineBed } from "./pipeline-bed.ts";
import { ServiceReplicas } from "./service-replicas.ts";

let server: TestPostgres;
let kafka: KafkaBed;
const patienceMs = 180_000;
const schema = "load";

beforeAll(async () => {
  [server, kafka] = await Promise.all([testPostgres(18), KafkaBed.start()]);
}, 240_000);

afterAll(async () => {
  await Promise.all([server[Symbol.asyncDispose](), kafka[Symbol.asyncDispose]()]);
});

async function differences(bed: PipelineBed): Promise<number> {
  let count = 0;
  for (const { name, key } of workloadTables) {
    const table = { schema, table: name };
    const result = await compareTables(
      new PostgresRowReader(bed.sourceUrl, table, key),
      new PostgresRowReader(bed.targetUrl, table, key),
      {},
      AbortSignal.timeout(60_000),
    );
    count += result.differences;
  }
  return count;
}

test("I3, I4, I7: random transactions while replicas of both services are killed and rolled: each change once, in order, and the target equals the source", async () => {
  await using bed = await PipelineBed.open({ name: "work", top: kafka.logLines() }, server);
  const objects = workloadTables.map(({ name }) => `- table: ${schema}.${name}`);
  await bed.write({ name: "work", top: kafka.logLines(), objects, sync: ["partitions: 2"] });
  bed.set("KAFKA_PASSWORD", kafka.password);
  bed.set("DATATRACE_SECRET_KEYS", randomBytes(32).toString("base64"));
  for (const [variable, value] of Object.entries(kafka.variables())) bed.set(variable, value);
  await bed.source.query("BEGIN");
  await bed.source.query(workloadSchema(schema));
  await bed.source.query("COMMIT");

  const captures = new ServiceReplicas(bed, "capture-postgres", 2);
  const sinks = new ServiceReplicas(bed, "sink-postgres", 2);
  await waitFor(() => captures.all.some(({ log }) => log.some(({ event }) => event === "stream made")), {
    deadlineMs: patienceMs,
    what: "the stream to begin",
  });
  const random = new Random(20261125);
  const options = { url: bed.sourceUrl, schema, random, clients: 4, transactionsPerSecond: 120 };
  const workload = new Workload(options, false);
  workload.start();
  // So many transactions between two faults, however fast the machine is.
  const commit = async (count: number) => {
    const from = workload.counts.committed;
    await waitFor(() => workload.counts.committed >= from + count, { deadlineMs: patienceMs, what: "transactions" });
  };
  await commit(100);
  await captures.kill(0);
  await commit(100);
  await sinks.kill(0);
  await commit(400);
  await captures.kill(0);
  await sinks.kill(1);
  await commit(400);
  await captures.roll();
  await sinks.roll();
  await commit(200);
  await workload.stop();

  await waitFor(async () => (await differences(bed)) === 0, {
    deadlineMs: patienceMs,
    what: "the target to equal the source",
    intervalMs: 1_000,
  });
  await Promise.all([captures.stop(), sinks.stop()]);

  const audit = new LogAudit();
  for (const { name } of workloadTables) {
    const topic = dataTopic("work", { schema, table: name });
    for (const { event, partition, offset } of await kafka.records(topic)) {
      audit.add({ table: name, partition, offset, ...changeOf(event) });
    }
  }
  const { ledger, totals } = await readLedger(bed.source, schema);
  const result = audit.result(ledger);
  expect(result.examples).toEqual([]);
  expect(result).toMatchObject({
    failures: 0,
    missing: 0,
    surplus: 0,
    misordered: 0,
    staleReads: 0,
    tornTransactions: 0,
  });
  expect(totals.transactions).toBeGreaterThan(1_000);
  expect(result.changes).toBeGreaterThan(1_000);
}, 900_000);
