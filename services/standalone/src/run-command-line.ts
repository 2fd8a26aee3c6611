import { checkCommand } from "./check-command.ts";
import type { Command } from "./command-context.ts";
import { parseCommandLine } from "./command-line.ts";
import type { Invocation } from "./command-line.ts";
import { decommissionCommand } from "./decommission-command.ts";
import { schemaText } from "./generated-files.ts";
import { helpText } from "./help-text.ts";
import { openLogger } from "./open-logger.ts";
import { noticeOf, Output } from "./output.ts";
import { readPipelineFile } from "./pipeline-file.ts";
import { runCommand } from "./run/run-command.ts";
import { statusCommand } from "./status-command.ts";
import { tailCommand } from "./tail-command.ts";
import { topicsCommand } from "./topics-command.ts";
import { untilStopped } from "./until-stopped.ts";
import { version } from "./version.ts";

const wrongUsage = 2;

/** Runs one command line to its end, and answers the exit code: 0 done, 1 failed, 2 wrong usage or file, 130 interrupted. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  const output = new Output(args.includes("--json"), process);
  // A reader that goes away (`| head`) is no error.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  let invocation: Invocation;
  try {
    invocation = parseCommandLine(args, process.env);
  } catch (error) {
    output.notice(noticeOf(error));
    return wrongUsage;
  }
  switch (invocation.command) {
    case "help":
      process.stdout.write(`${helpText()}\n`);
      return 0;
    case "version":
      process.stdout.write(`${version}\n`);
      return 0;
    case "schema":
      process.stdout.write(schemaText());
      return 0;
    case "run":
      return await withPipeline(invocation, output, runCommand);
    case "check":
      return await withPipeline(invocation, output, checkCommand);
    case "status":
      return await withPipeline(invocation, output, statusCommand);
    case "topics":
      return await withPipeline(invocation, output, topicsCommand);
    case "tail":
      return await withPipeline(invocation, output, tailCommand);
    case "decommission":
      return await withPipeline(invocation, output, decommissionCommand);
  }
}

/** The commands that have a pipeline file: they run until done, or until a signal asks them to end. */
async function withPipeline(invocation: Invocation, output: Output, command: Command): Promise<number> {
  const pipeline = readPipelineFile(invocation.file, process.env, output);
  if (pipeline === null) return wrongUsage;
  const runs = invocation.command === "run";
  // Commands that answer and end say all in their answer; only what went wrong unexpectedly is logged beside it.
  const logger = openLogger(invocation.logLevel ?? (runs ? "info" : "error"), output);
  const options = { output, logger, terminatedIsDone: runs && !invocation.untilCaughtUp };
  return await untilStopped(options, (signal) => command({ pipeline, invocation, output, logger, signal }));
}
