import { commandNames, commands, options } from "./commands-table.ts";
import { operandsOf } from "./command-line.ts";
import type { OptionName } from "./commands-table.ts";

function column(left: string, right: string): string {
  return left.length > 26 ? `  ${left}\n${" ".repeat(30)}${right}` : `  ${left.padEnd(28)}${right}`;
}

function optionLine(name: OptionName): string {
  const { value, env, help } = options[name];
  const from = env === null ? "" : `; also ${env}`;
  return column(value === null ? `--${name}` : `--${name} ${value}`, `${help}${from}`);
}

/** What `help` prints. */
export function helpText(): string {
  return [
    "DataTrace captures committed changes of databases and delivers them exactly once into others.",
    "",
    "Usage: npm start -- COMMAND [FILE] [OPTIONS]",
    "",
    "Commands:",
    ...commandNames.map((name) => column([name, ...operandsOf(name)].join(" "), commands[name].help)),
    "",
    "Options:",
    ...(Object.keys(options) as OptionName[]).map((name) => optionLine(name)),
    "",
    "SIGTERM or Ctrl-C ends a run within 10 s; nothing is lost. SIGUSR2 changes the log level.",
    "Exit codes: 0 done, 1 failed, 2 wrong usage or file, 130 interrupted.",
  ].join("\n");
}
