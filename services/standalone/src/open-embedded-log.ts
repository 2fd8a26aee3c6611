import { existsSync } from "node:fs";
import type { Logger } from "@datatrace/core";
import { openSqliteEventLog } from "@datatrace/event-log-sqlite";
import type { EmbeddedLogSettings } from "@datatrace/runtime";
import type { OpenedLog } from "./open-log.ts";

/** @throws DataTraceError as `openSqliteEventLog`. */
export async function openEmbeddedLog(settings: EmbeddedLogSettings, logger: Logger): Promise<OpenedLog> {
  const { directory, maxSizeBytes } = settings;
  const limit = maxSizeBytes === null ? {} : { maxSizeBytes };
  const log = await openSqliteEventLog({ directory, logger, ...limit });
  return {
    events: log,
    registry: log.registry,
    size: async (signal) => await log.statistics(signal),
    topics: async (prefix, signal) => {
      const { topics } = await log.statistics(signal);
      return topics.filter(({ name }) => name.startsWith(prefix)).map((topic) => ({ ...topic, sizeBytes: null }));
    },
    read: async (place, from, signal) => await log.read(place, from, signal),
    [Symbol.asyncDispose]: async () => await log[Symbol.asyncDispose](),
  };
}

/** Null when there is none in the directory. */
export async function openExistingEmbeddedLog(
  settings: EmbeddedLogSettings,
  logger: Logger,
): Promise<OpenedLog | null> {
  return existsSync(settings.directory) ? await openEmbeddedLog(settings, logger) : null;
}
