import { parseArgs } from "node:util";
import { DataTraceError } from "@datatrace/core";

export interface DemoOptions {
  /** Seconds of live load, then drain, compare and end. Null = until Ctrl-C. */
  readonly onceSeconds: number | null;
  /** Kill -9 a random part every few seconds. */
  readonly kill: boolean;
  /** Over Kafka and a schema registry instead of the embedded log. */
  readonly kafka: boolean;
  /** Rows in the shop before the pipeline starts, roughly. */
  readonly rows: number;
  readonly help: boolean;
}

export const demoHelp = `npm run demo -- [options]

A web shop on one PostgreSQL server, copied live to another: snapshot first, then every change, exactly once.

  --once N     stop the load after N seconds, drain, compare both sides row by row; exit 0 only if 0 rows differ
  --kafka      over Kafka and a schema registry, capture and sink as processes of their own
  --kill       kill -9 a random part every few seconds: capture, sink, source or target server, with --kafka the broker
               and the registry too
  --rows N     rows in the shop before the pipeline starts (default 200000)
  --help       this text

Two throwaway servers are started, unless SOURCE_DATABASE_URL (or DATABASE_URL) and TARGET_DATABASE_URL name others.
There the demo works in a schema of its own, datatrace_shop, and takes everything away again when it ends.
With --kafka a throwaway broker and registry are started too (they need Java 21 and Maven), unless KAFKA_BROKERS
(host:port, with commas) and SCHEMA_REGISTRY_URL name others.
`;

/** @throws DataTraceError `config.usage`. */
export function parseDemoOptions(args: readonly string[]): DemoOptions {
  const { values } = parse(args);
  return {
    onceSeconds: values.once === undefined ? null : wholeNumber("--once", values.once, 1, 86_400),
    kill: values.kill ?? false,
    kafka: values.kafka ?? false,
    rows: wholeNumber("--rows", values.rows ?? "200000", 1_000, 100_000_000),
    help: values.help ?? false,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        once: { type: "string" },
        kill: { type: "boolean" },
        kafka: { type: "boolean" },
        rows: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new DataTraceError("config.usage", {
      cause: error,
      message: error instanceof Error ? error.message : "The options cannot be read.",
      fix: "Run `npm run demo -- --help`.",
    });
  }
}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new DataTraceError("config.usage", {
      message: `${name} takes a whole number from ${min} to ${max}.`,
      fix: "Run `npm run demo -- --help`.",
    });
  }
  return value;
}
