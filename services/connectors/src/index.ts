import { postgresSource } from "@datatrace/capture-postgres";
import type { SinkConnector, SourceConnector } from "@datatrace/core";
import { postgresSink } from "@datatrace/sink-postgres";

/** Every database that can be captured: a line each. */
export const sourceConnectors: readonly SourceConnector[] = [postgresSource];

/** Every database that can be delivered to: a line each. */
export const sinkConnectors: readonly SinkConnector[] = [postgresSink];
