import { parseArgs } from "node:util";
import { DataTraceError } from "@datatrace/core";
import { didYouMean, isLogLevel, logLevels } from "@datatrace/runtime";
import type { Environment, LogLevel } from "@datatrace/runtime";
import { commandNames, commands, options } from "./commands-table.ts";
import type { CommandName, OptionName } from "./commands-table.ts";

export type Part = "capture" | "sink";

/** What the user asked for, checked. */
export interface Invocation {
  readonly command: CommandName | "version";
  /** The pipeline file; empty for commands without one. */
  readonly file: string;
  /** `schema.table`; empty for commands without one. */
  readonly table: string;
  readonly json: boolean;
  readonly yes: boolean;
  readonly untilCaughtUp: boolean;
  readonly only: Part | null;
  /** Null = what is usual. */
  readonly last: number | null;
  readonly follow: boolean;
  /** `TASK.TARGET`, or null for all. */
  readonly delivery: string | null;
  /** Null = the default port, or another one when it is taken. */
  readonly port: number | null;
  readonly host: string;
  /** Null = what is usual for the command. */
  readonly logLevel: LogLevel | null;
}

export const defaultPort = 7171;

/** @throws DataTraceError `config.usage`, with a suggestion where a name is nearly right. */
export function parseCommandLine(args: readonly string[], environment: Environment): Invocation {
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(options).map(([name, { value }]) => [
        name,
        {
          type: value === null ? ("boolean" as const) : ("string" as const),
          ...(name === "help" ? { short: "h" } : {}),
        },
      ]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const words = tokens.filter((token) => token.kind === "positional").map(({ value }) => value);
  const given = new Map<OptionName, string>();
  const named = tokens.filter((token) => token.kind === "option");
  const first = words[0];
  if (named.some(({ name }) => name === "version")) return { ...plain(environment), command: "version" };
  if (named.some(({ name }) => name === "help") || first === undefined || first === "help") {
    if (first === undefined && named.length === 0 && args.length === 0) throw usage("No command is given.");
    return plain(environment);
  }
  if (!isCommand(first)) throw usage(`There is no command \`${first}\`${didYouMean(first, commandNames) || "."}`);
  const command = commands[first];
  for (const { name, rawName, value } of named) {
    if (!(command.options as readonly string[]).includes(name)) {
      const known = command.options.map((option) => `--${option}`);
      throw usage(`\`${first}\` has no option \`${rawName}\`${didYouMean(rawName, known) || "."}`, first);
    }
    const option = options[name as OptionName];
    if (option.value !== null && (value === undefined || value.startsWith("-"))) {
      throw usage(`\`${rawName}\` needs a value: ${option.value}.`, first);
    }
    if (option.value === null && value !== undefined) throw usage(`\`${rawName}\` takes no value.`, first);
    given.set(name as OptionName, value ?? "");
  }
  const operands = operandsOf(first);
  const missing = operands[words.length - 1];
  if (missing !== undefined) throw usage(`\`${first}\` needs a ${operandNames[missing]}.`, first);
  if (words.length - 1 > operands.length) {
    throw usage(`\`${first}\` takes ${["no file", "one file", "one file and one table"][operands.length]}.`, first);
  }
  return { ...checkedOptions(given, environment), command: first, file: words[1] ?? "", table: words[2] ?? "" };
}

/** What stands behind the command, in order: `FILE`, `TABLE`. */
export function operandsOf(name: CommandName): readonly string[] {
  const { file, table = false }: { readonly file: boolean; readonly table?: boolean } = commands[name];
  return [...(file ? ["FILE"] : []), ...(table ? ["TABLE"] : [])];
}

const operandNames: Readonly<Record<string, string>> = { FILE: "pipeline file", TABLE: "table" };

function isCommand(text: string): text is CommandName {
  return (commandNames as readonly string[]).includes(text);
}

function usage(message: string, command?: string): DataTraceError {
  const fix = command === undefined ? {} : { fix: `Usage: ${usageOf(command as CommandName)}` };
  return new DataTraceError("config.usage", { message, ...fix });
}

/** Such as `run FILE [--json]`. */
export function usageOf(name: CommandName): string {
  const command = commands[name];
  const named = command.options
    .filter((option) => option !== "help")
    .map((option) => {
      const { value } = options[option];
      return value === null ? `[--${option}]` : `[--${option} ${value}]`;
    });
  return [name, ...operandsOf(name), ...named].join(" ");
}

function plain(environment: Environment): Invocation {
  return { ...checkedOptions(new Map(), environment), command: "help", file: "", table: "" };
}

/** What the options say, or the environment where they are not given. @throws DataTraceError `config.usage`. */
export function checkedOptions(
  given: ReadonlyMap<OptionName, string>,
  environment: Environment,
): Omit<Invocation, "command" | "file" | "table"> {
  const valueOf = (name: OptionName): string | null => {
    const variable = options[name].env;
    const fromEnvironment = variable === null ? undefined : environment[variable];
    return given.get(name) ?? (fromEnvironment === "" ? null : (fromEnvironment ?? null));
  };
  const only = valueOf("only");
  if (only !== null && only !== "capture" && only !== "sink") {
    throw usage(`\`--only\` is \`capture\` or \`sink\`${didYouMean(only, ["capture", "sink"]) || "."}`);
  }
  const level = valueOf("log-level");
  if (level !== null && !isLogLevel(level)) throw usage(`The log level is one of ${logLevels.join(", ")}.`);
  const last = valueOf("last");
  if (last !== null && !/^[1-9]\d{0,5}$/.test(last)) throw usage("`--last` is a number from 1 to 999999.");
  const port = valueOf("port");
  if (port !== null && !(/^\d{1,5}$/.test(port) && Number(port) <= 65_535)) {
    throw usage("The port is a number from 0 to 65535; 0 is any free one.");
  }
  return {
    json: given.has("json"),
    yes: given.has("yes"),
    untilCaughtUp: given.has("until-caught-up"),
    only,
    last: last === null ? null : Number(last),
    follow: given.has("follow"),
    delivery: valueOf("delivery"),
    port: port === null ? null : Number(port),
    host: valueOf("host") ?? "127.0.0.1",
    logLevel: level,
  };
}
