interface OptionSpec {
  /** Placeholder of its value, null for a switch. */
  readonly value: string | null;
  /** Environment variable that gives it, when the option itself is not given. */
  readonly env: string | null;
  readonly help: string;
}

/** Every option, once. */
export const options = {
  json: { value: null, env: null, help: "JSON lines on the standard output, for programs" },
  yes: { value: null, env: null, help: "do it without asking" },
  "until-caught-up": {
    value: null,
    env: null,
    help: "end when all that was committed at the start has been delivered",
  },
  only: { value: "capture|sink", env: null, help: "only one part, in a process of its own over the same log" },
  last: { value: "N", env: null, help: "events of each partition to begin with (10)" },
  follow: { value: null, env: null, help: "go on with the events that come, until stopped" },
  delivery: {
    value: "TASK.TARGET",
    env: null,
    help: "only what one task has in one target, before it is taken out of the file",
  },
  port: {
    value: "N",
    env: "DATATRACE_PORT",
    help: "port of health and metrics (7171, or a free one; 0: a free one)",
  },
  host: { value: "ADDRESS", env: "DATATRACE_HOST", help: "address of health and metrics (127.0.0.1)" },
  "log-level": { value: "error|warn|info|debug", env: "DATATRACE_LOG_LEVEL", help: "how much is logged (info)" },
  help: { value: null, env: null, help: "this text" },
  version: { value: null, env: null, help: "the version" },
} as const satisfies Record<string, OptionSpec>;

export type OptionName = keyof typeof options;

interface CommandSpec {
  readonly file: boolean;
  /** Takes the name of a table after the file. */
  readonly table?: boolean;
  readonly options: readonly OptionName[];
  readonly help: string;
}

/** Every command, once: parsing, help and the errors about wrong usage come from here. */
export const commands = {
  run: {
    file: true,
    options: ["until-caught-up", "only", "json", "port", "host", "log-level", "help"],
    help: "capture and deliver until stopped",
  },
  check: {
    file: true,
    options: ["json", "help"],
    help: "find everything that would stop a run; changes nothing",
  },
  status: { file: true, options: ["json", "help"], help: "tables, phases, lag, quarantine, last errors" },
  topics: { file: true, options: ["json", "help"], help: "topics in the log: partitions, records, size, schema ids" },
  tail: {
    file: true,
    table: true,
    options: ["last", "follow", "json", "help"],
    help: "the newest events of a table, decoded, as JSON lines with the table's data",
  },
  decommission: {
    file: true,
    options: ["delivery", "yes", "json", "help"],
    help: "show and remove slots, publications, helper tables and topics; target tables stay",
  },
  schema: { file: false, options: ["help"], help: "print the JSON schema of the pipeline file" },
  help: { file: false, options: ["help"], help: "this text" },
} as const satisfies Record<string, CommandSpec>;

export type CommandName = keyof typeof commands;

export const commandNames = Object.keys(commands) as readonly CommandName[];
