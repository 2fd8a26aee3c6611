import type { SinkConnector } from "@datatrace/core";
import { parseConnectionUrl } from "@datatrace/postgres";
import { configSchema, defaultHelperSchema } from "./config.ts";
import type { PostgresTargetConfig } from "./config.ts";
import { PostgresSink } from "./postgres-sink.ts";

/** PostgreSQL 14 and newer as a target. Sessions keep settings and prepared statements: a pooler must be in session mode. */
export const postgresSink: SinkConnector<PostgresTargetConfig> = {
  role: "sink",
  type: "postgres",
  configSchema,
  open: (config, context) =>
    new PostgresSink({
      server: parseConnectionUrl(config.url),
      helperSchema: config.helper_schema ?? defaultHelperSchema,
      parallelApplies: context.parallelApplies,
    }),
};

export { PostgresSink } from "./postgres-sink.ts";
export type { PostgresSinkOptions } from "./postgres-sink.ts";
export type { PostgresTargetConfig } from "./config.ts";
