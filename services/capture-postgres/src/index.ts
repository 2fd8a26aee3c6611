import type { SourceConnector } from "@datatrace/core";
import { parseConnectionUrl } from "@datatrace/postgres";
import { configSchema } from "./config.ts";
import type { PostgresSourceConfig } from "./config.ts";
import { PostgresSource } from "./postgres-source.ts";

/** PostgreSQL 14 and newer as a source: a direct connection (no pooler) of a role with REPLICATION that owns the tables. */
export const postgresSource: SourceConnector<PostgresSourceConfig> = {
  role: "source",
  type: "postgres",
  configSchema,
  open: (config, { capture, parallelReads, logger }) =>
    new PostgresSource({ server: parseConnectionUrl(config.url), capture, parallelReads, logger }),
};

export { PostgresSource } from "./postgres-source.ts";
export type { PostgresSourceOptions } from "./postgres-source.ts";
export type { PostgresSourceConfig } from "./config.ts";
