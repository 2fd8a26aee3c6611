import type { Metrics, Readiness } from "@datatrace/runtime";
import type { OpenedLog } from "../open-log.ts";
import type { RunPart } from "./run-part.ts";

const collectTimeoutMs = 2_000;

/** Brings those metrics of a process up to date that are read rather than counted. To be called before each scrape. */
export async function collectMetrics(
  metrics: Metrics,
  { ready }: Readiness,
  log: OpenedLog,
  parts: readonly RunPart[],
): Promise<void> {
  const signal = AbortSignal.timeout(collectTimeoutMs);
  metrics.ready(ready);
  await Promise.all(parts.map((part) => part.collect(signal)));
  try {
    const size = await log.size(signal);
    if (size !== null) metrics.logSize(size.usedBytes, size.maxSizeBytes);
  } catch {
    // A scrape answers also when the log is busy: the last value stays.
  }
}
