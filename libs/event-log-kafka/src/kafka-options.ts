import type { Logger, Secret } from "@datatrace/core";
import type { KafkaConfig } from "kafkajs";

/** How to log in. All mechanisms send the password only over what `ssl` protects: use both. */
export interface SaslOptions {
  readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
  readonly username: string;
  readonly password: Secret;
}

export interface KafkaEventLogOptions {
  /** `host:port` of some brokers; the others are found by asking them. */
  readonly brokers: readonly string[];
  /** True, or what `tls.connect` takes: `ca`, `cert`, `key`, … */
  readonly ssl?: NonNullable<KafkaConfig["ssl"]>;
  readonly sasl?: SaslOptions;
  /** Shown in the brokers' logs and quotas. Default `datatrace`. */
  readonly clientId?: string;
  /** Before the names of the log's own topics, `<prefix>.topics` and `<prefix>.groups`. Default `datatrace`. */
  readonly controlPrefix?: string;
  /** Of topics that are made here. Default: 3, or as many as there are brokers. */
  readonly replicationFactor?: number;
  /** How long a member that gives no sign of life keeps its partitions. Default 10,000, the least is set by the broker. */
  readonly sessionTimeoutMs?: number;
  /** After this the broker aborts what a dead writer has begun; until then it holds readers back. Default 60,000. */
  readonly transactionTimeoutMs?: number;
  /** How long to wait for an answer before a broker counts as gone. Default 10,000. */
  readonly requestTimeoutMs?: number;
  /** How long an operation is tried again while brokers are away. Default 60,000. */
  readonly patienceMs?: number;
  /** Appends to data topics stop with `log.full` when what this log has put there holds about this much. Default: no limit. */
  readonly maxSizeBytes?: number;
  /** A record that every group has applied is kept this long for consumers that are no groups of ours. Default 7 days. */
  readonly keepAppliedMs?: number;
  /** Between two looks for records that may be deleted. Default 30,000. */
  readonly retentionIntervalMs?: number;
  /** `retention.ms` of data topics, for topics that no group has; the broker then deletes by age alone. Default -1: never. */
  readonly topicRetentionMs?: number;
  /** One produce request holds about this much; larger appends take several. Default 16 MiB. */
  readonly maxRequestSizeBytes?: number;
  readonly logger?: Logger;
}

/** With all defaults filled in. */
export interface KafkaSettings {
  readonly brokers: readonly string[];
  readonly ssl: KafkaConfig["ssl"];
  readonly sasl: SaslOptions | null;
  readonly clientId: string;
  readonly controlPrefix: string;
  readonly replicationFactor: number | null;
  readonly sessionTimeoutMs: number;
  readonly transactionTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly patienceMs: number;
  readonly maxSizeBytes: number | null;
  readonly keepAppliedMs: number;
  readonly retentionIntervalMs: number;
  readonly topicRetentionMs: number;
  readonly maxRequestSizeBytes: number;
  readonly logger: Logger | null;
}

export function settingsOf(options: KafkaEventLogOptions): KafkaSettings {
  return {
    brokers: options.brokers,
    ssl: options.ssl,
    sasl: options.sasl ?? null,
    clientId: options.clientId ?? "datatrace",
    controlPrefix: options.controlPrefix ?? "datatrace",
    replicationFactor: options.replicationFactor ?? null,
    sessionTimeoutMs: options.sessionTimeoutMs ?? 10_000,
    transactionTimeoutMs: options.transactionTimeoutMs ?? 60_000,
    requestTimeoutMs: options.requestTimeoutMs ?? 10_000,
    patienceMs: options.patienceMs ?? 60_000,
    maxSizeBytes: options.maxSizeBytes ?? null,
    keepAppliedMs: options.keepAppliedMs ?? 7 * 24 * 3_600_000,
    retentionIntervalMs: options.retentionIntervalMs ?? 30_000,
    topicRetentionMs: options.topicRetentionMs ?? -1,
    maxRequestSizeBytes: options.maxRequestSizeBytes ?? 16 * 1024 * 1024,
    logger: options.logger ?? null,
  };
}
