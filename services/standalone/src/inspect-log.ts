import { accessSync, constants, existsSync } from "node:fs";
import { dirname } from "node:path";
import { RemoteSchemaRegistry } from "@datatrace/avro";
import { DataTraceError } from "@datatrace/core";
import { probeKafka } from "@datatrace/event-log-kafka";
import type { KafkaLogSettings, PipelineLog } from "@datatrace/runtime";
import { kafkaOptions, registryAddress } from "./open-kafka-log.ts";
import { shortPatienceMs } from "./open-log.ts";
import { noticeOf } from "./output.ts";
import type { LocatedFinding } from "./task-tables.ts";

/** No registry gives this id away: what answers that there is no such schema is a registry, and lets us in. */
const noSchemaId = 2 ** 31 - 1;

/** Whether a run could have its log. Makes nothing. */
export async function inspectLog(log: PipelineLog, signal: AbortSignal): Promise<readonly LocatedFinding[]> {
  if (log.kind === "embedded") return directoryFindings(log.directory);
  const found = await Promise.all([brokerFindings(log, signal), registryFindings(log, signal)]);
  return found.flat();
}

/** The embedded log is made by the first run. */
function directoryFindings(directory: string): readonly LocatedFinding[] {
  let nearest = directory;
  while (!existsSync(nearest)) nearest = dirname(nearest);
  try {
    accessSync(nearest, constants.W_OK | constants.X_OK);
    return [];
  } catch {
    const message = `The directory of the event log cannot be made or written: ${directory}.`;
    const fix = "Give another one with `log.directory`, or the permission to write there.";
    return [{ severity: "error", code: "log.io_failed", message, fix, line: 0 }];
  }
}

async function brokerFindings(log: KafkaLogSettings, signal: AbortSignal): Promise<readonly LocatedFinding[]> {
  try {
    const { brokers } = await probeKafka({ ...kafkaOptions(log), patienceMs: shortPatienceMs }, signal);
    const { replicationFactor, line } = log;
    if (replicationFactor === null || replicationFactor <= brokers) return [];
    const message = `\`replication_factor\` is ${replicationFactor}, and Kafka has ${brokers} brokers.`;
    const fix = "Lower it, or leave it out for 3, or as many as there are brokers.";
    return [{ severity: "error", code: "log.topic_settings", message, fix, line }];
  } catch (error) {
    return [findingOf(error, log.line)];
  }
}

async function registryFindings(log: KafkaLogSettings, signal: AbortSignal): Promise<readonly LocatedFinding[]> {
  try {
    await using registry = new RemoteSchemaRegistry({ ...registryAddress(log.registry), attempts: 1 });
    await registry.byId(noSchemaId, signal);
    return [];
  } catch (error) {
    if (error instanceof DataTraceError && error.code === "registry.schema_unknown") return [];
    return [findingOf(error, log.line)];
  }
}

/** What could not be looked at. A bug of ours is not a finding. */
function findingOf(error: unknown, line: number): LocatedFinding {
  if (!(error instanceof DataTraceError)) throw error;
  const { code, message, fix } = noticeOf(error);
  return { severity: "error", code, message, fix, line };
}
