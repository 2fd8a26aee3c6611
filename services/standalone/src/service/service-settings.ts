import { parseArgs } from "node:util";
import { SecretKeys } from "@datatrace/control";
import { DataTraceError } from "@datatrace/core";
import { kafkaFromEnvironment } from "@datatrace/runtime";
import type { Environment, KafkaLogSettings, Pipeline } from "@datatrace/runtime";
import { checkedOptions } from "../command-line.ts";
import type { Invocation } from "../command-line.ts";
import type { OptionName } from "../commands-table.ts";
import { readPipelineFile } from "../pipeline-file.ts";
import type { Output } from "../output.ts";
import { variableNames } from "./service-variables.ts";

/** How a service was started. */
export interface ServiceInvocation extends Pick<Invocation, "host" | "port" | "logLevel"> {
  /** Null: the specs are in the control topics already. */
  readonly file: string | null;
}

/** What a service works with. */
export interface ServiceSettings {
  readonly log: KafkaLogSettings;
  /** Whose specs are written before anything is run; null without a file. */
  readonly pipeline: Pipeline | null;
  readonly keys: SecretKeys;
}

const names = ["host", "port", "log-level"] as const satisfies readonly OptionName[];

/** `[FILE] [--host ADDRESS] [--port N] [--log-level LEVEL]`. @throws DataTraceError `config.usage`. */
export function parseServiceCommand(args: readonly string[], environment: Environment): ServiceInvocation {
  let parsed: { values: Partial<Record<string, unknown>>; positionals: readonly string[] };
  try {
    parsed = parseArgs({
      args: [...args],
      options: Object.fromEntries(names.map((name) => [name, { type: "string" as const }])),
      allowPositionals: true,
    });
  } catch (error) {
    throw usage(error);
  }
  const { values, positionals } = parsed;
  if (positionals.length > 1) throw usage(null);
  const given = new Map<OptionName, string>();
  for (const name of names) {
    const value = values[name];
    if (typeof value === "string") given.set(name, value);
  }
  const { host, port, logLevel } = checkedOptions(given, environment);
  const fromEnvironment = environment[variableNames.file];
  const file = positionals[0] ?? (fromEnvironment === undefined || fromEnvironment === "" ? null : fromEnvironment);
  return { file, host, port, logLevel };
}

function usage(cause: unknown): DataTraceError {
  return new DataTraceError("config.usage", {
    cause,
    fix: "Usage: main.ts [FILE] [--host ADDRESS] [--port N] [--log-level error|warn|info|debug]; see docs/configuration.md.",
  });
}

/**
 * The log from the pipeline file where there is one, else from the environment. Says what is wrong; null when it cannot
 * be used. @throws DataTraceError `config.secret_key_missing`.
 */
export function readServiceSettings(
  { file }: ServiceInvocation,
  environment: Environment,
  output: Output,
): ServiceSettings | null {
  const keys = SecretKeys.parse(environment[variableNames.keys] ?? "");
  if (file === null) {
    const { log, problems } = kafkaFromEnvironment(environment);
    for (const { severity, code, message, fix } of problems) output.notice({ severity, code, message, fix });
    return log === null ? null : { log, pipeline: null, keys };
  }
  const pipeline = readPipelineFile(file, environment, output);
  if (pipeline === null) return null;
  if (pipeline.log.kind === "kafka") return { log: pipeline.log, pipeline, keys };
  throw new DataTraceError("config.usage", {
    message: "A service of its own needs a log that it shares with others, and the file has the embedded one.",
    fix: "Give the pipeline a `log.kafka`, or use `run` for an embedded log.",
  });
}
