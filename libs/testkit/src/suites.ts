// Contract suites: every implementation of a port runs its suite, whole. Apart from the package's main entry because
// they load vitest, which the demo, the chaos runs and the benchmarks have no use for.
export type { CaptureBed, CaptureHarness, CaptureOpening, CaptureTuning, UserSession } from "./capture-harness.ts";
export {
  CaptureReader,
  captureDeadlineMs,
  eventsOf,
  isRowChange,
  rowText,
  startCapture,
  transactionsOf,
} from "./capture-reader.ts";
export { describeCaptureSource } from "./describe-capture-source.ts";
export { describeEventLog } from "./describe-event-log.ts";
export { Probe } from "./event-log-probe.ts";
export { describeSink } from "./describe-sink.ts";
export type { OpenSink, SinkBed, SinkHarness, SinkLimits } from "./sink-harness.ts";
export { describeSchemaRegistry } from "./describe-schema-registry.ts";
export type { SchemaRegistryHarness } from "./describe-schema-registry.ts";
