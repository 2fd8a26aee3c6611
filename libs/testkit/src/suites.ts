// Contract suites: every implementation of a port runs its suite, whole. Apart from the package's main entry because
// they load vitest, which the demo, the chaos runs and the benchmarks have no use for.
export { describeEventLog } from "./describe-event-log.ts";
export { describeSchemaRegistry } from "./describe-schema-registry.ts";
export type { SchemaRegistryHarness } from "./describe-schema-registry.ts";
