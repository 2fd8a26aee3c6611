import type { EventLog, Logger, RecordsRead, SchemaRegistry, TopicPartition } from "@datatrace/core";
import type { Pipeline } from "@datatrace/runtime";
import { openEmbeddedLog, openExistingEmbeddedLog } from "./open-embedded-log.ts";
import { openKafkaLog } from "./open-kafka-log.ts";

/** A pipeline's event log and the registry of its schemas, of whichever kind. Disposing of it closes both. */
export interface OpenedLog extends AsyncDisposable {
  readonly events: EventLog;
  readonly registry: SchemaRegistry;
  /** Null where the log's servers have their own measures of this, and a limit is theirs to set. */
  size(signal: AbortSignal): Promise<LogSize | null>;
  /** The topics that begin with `prefix`, sorted by name. */
  topics(prefix: string, signal: AbortSignal): Promise<readonly TopicSize[]>;
  /** What is at an offset now, read without a group; no records at the end. @throws DataTraceError `log.out_of_range`. */
  read(place: TopicPartition, from: bigint, signal: AbortSignal): Promise<RecordsRead>;
}

export interface LogSize {
  /** On disk. */
  readonly sizeBytes: number;
  /** What the limit is held against. */
  readonly usedBytes: number;
  readonly maxSizeBytes: number;
}

export interface TopicSize {
  readonly name: string;
  readonly partitions: number;
  readonly cleanup: "delete" | "compact";
  /** Records that are stored now; on Kafka offsets, of which some are no records. */
  readonly records: bigint;
  /** One copy; null where topics share a file. */
  readonly sizeBytes: number | null;
}

/** How long a command that answers and ends waits for brokers that are away. */
export const shortPatienceMs = 10_000;

/**
 * The pipeline's event log. Several processes may have it open.
 * @throws DataTraceError as `openSqliteEventLog` and `openKafkaEventLog`.
 */
export async function openLog({ log }: Pipeline, logger: Logger, signal: AbortSignal): Promise<OpenedLog> {
  return log.kind === "kafka" ? await openKafkaLog(log, { logger }, signal) : await openEmbeddedLog(log, logger);
}

/** The log as earlier runs have left it: null when none has made one. An embedded one is not made for the look. */
export async function openExistingLog(
  { log }: Pipeline,
  logger: Logger,
  signal: AbortSignal,
): Promise<OpenedLog | null> {
  return log.kind === "kafka"
    ? await openKafkaLog(log, { logger, patienceMs: shortPatienceMs }, signal)
    : await openExistingEmbeddedLog(log, logger);
}
