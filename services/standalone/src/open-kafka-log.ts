import { RemoteSchemaRegistry } from "@datatrace/avro";
import type { RegistryAddress } from "@datatrace/avro";
import type { Logger } from "@datatrace/core";
import { openKafkaEventLog } from "@datatrace/event-log-kafka";
import type { KafkaEventLogOptions } from "@datatrace/event-log-kafka";
import type { KafkaLogSettings, RegistrySettings } from "@datatrace/runtime";
import type { OpenedLog } from "./open-log.ts";

export interface KafkaLogPatience {
  readonly logger: Logger;
  /** How long to wait for brokers that are away; the log's default when left out. */
  readonly patienceMs?: number;
}

/** The registry is asked at the first schema only. @throws DataTraceError as `openKafkaEventLog`. */
export async function openKafkaLog(
  settings: KafkaLogSettings,
  { logger, patienceMs }: KafkaLogPatience,
  signal: AbortSignal,
): Promise<OpenedLog> {
  const registry = new RemoteSchemaRegistry({ ...registryAddress(settings.registry), logger });
  const patience = patienceMs === undefined ? {} : { patienceMs };
  const log = await openKafkaEventLog({ ...kafkaOptions(settings), ...patience, logger }, signal);
  return {
    events: log,
    registry,
    size: () => Promise.resolve(null),
    topics: async (prefix, asked) => (await log.statistics(prefix, asked)).topics,
    read: async (place, from, asked) => await log.read(place, from, asked),
    [Symbol.asyncDispose]: async () => {
      await log[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
    },
  };
}

/** Secrets are revealed here, on their way to the driver, and nowhere before (I8). */
export function kafkaOptions(settings: KafkaLogSettings): KafkaEventLogOptions {
  const { brokers, ssl, sasl, replicationFactor } = settings;
  return {
    brokers,
    ssl: typeof ssl === "boolean" ? ssl : tlsOptions(ssl),
    ...(sasl === null ? {} : { sasl }),
    ...(replicationFactor === null ? {} : { replicationFactor }),
  };
}

function tlsOptions({ key, passphrase, ...plain }: Exclude<KafkaLogSettings["ssl"], boolean>) {
  return {
    ...plain,
    ...(key === undefined ? {} : { key: key.reveal() }),
    ...(passphrase === undefined ? {} : { passphrase: passphrase.reveal() }),
  };
}

export function registryAddress({ url, login, tls }: RegistrySettings): RegistryAddress {
  return { url, ...(login === null ? {} : { login }), ...(tls === null ? {} : { tls }) };
}
