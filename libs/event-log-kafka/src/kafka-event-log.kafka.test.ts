import { afterAll, beforeAll } from "vitest";
import { testKafka } from "@datatrace/testkit";
import type { TestKafka } from "@datatrace/testkit";
import { describeEventLog } from "@datatrace/testkit/suites";

import { kafkaHarness } from "./test-harness.ts";

let kafka: TestKafka | undefined;

beforeAll(async () => {
  kafka = await testKafka();
}, 180_000);

afterAll(async () => {
  await kafka?.[Symbol.asyncDispose]();
});

describeEventLog("Kafka", (options) => kafkaHarness(kafka?.brokers ?? [], options));
