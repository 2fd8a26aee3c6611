import { testKafka } from "@datatrace/testkit";
import { benchKafkaAppend } from "./kafka-append.ts";
import { parseBenchOptions } from "./options.ts";
import { passes } from "./result.ts";

/** The log's appends on Kafka, next to kafkajs alone in the same run: a line of JSON per bench. */

const options = parseBenchOptions(process.argv.slice(2));
await using kafka = await testKafka();
let failed = 0;
for (const batchRows of [5_000, 50]) {
  const result = await benchKafkaAppend({
    brokers: kafka.brokers,
    rows: batchRows === 50 ? Math.ceil(options.rows / 20) : options.rows,
    batchRows,
    recordBytes: 330,
    profile: options.profile,
  });
  process.stdout.write(`${JSON.stringify({ ...result, pass: passes(result) })}\n`);
  if (!passes(result)) failed += 1;
}
process.exitCode = failed === 0 ? 0 : 1;
