import { accessSync, constants, existsSync } from "node:fs";
import { dirname } from "node:path";
import type { Pipeline } from "@datatrace/runtime";
import type { CommandContext } from "./command-context.ts";
import { inspectPipeline } from "./inspect-pipeline.ts";
import { place } from "./pipeline-file.ts";
import type { LocatedFinding } from "./task-tables.ts";

/** `check FILE`: every finding; 1 when one would stop the run. Changes nothing, at the source, the target or on disk. */
export async function checkCommand(context: CommandContext): Promise<number> {
  const { pipeline, invocation, output, logger, signal } = context;
  const { findings, tables } = await inspectPipeline(pipeline, logger, signal);
  const all = [...logFindings(pipeline), ...findings];
  for (const { line, table, ...finding } of all) {
    const at = place(invocation.file, line, table ?? "");
    output.notice({ ...finding, at });
  }
  const count = (severity: string) => all.filter((finding) => finding.severity === severity).length;
  const [errors, warnings] = [count("error"), count("warning")];
  output.say(`${tables} tables looked at: ${errors} errors, ${warnings} warnings.`);
  output.record("result", { ok: errors === 0, tables, errors, warnings });
  return errors === 0 ? 0 : 1;
}

/** The log is made by the first run: here only whether it could be. */
function logFindings({ log }: Pipeline): readonly LocatedFinding[] {
  let nearest = log.directory;
  while (!existsSync(nearest)) nearest = dirname(nearest);
  try {
    accessSync(nearest, constants.W_OK | constants.X_OK);
    return [];
  } catch {
    const message = `The directory of the event log cannot be made or written: ${log.directory}.`;
    const fix = "Give another one with `log.directory`, or the permission to write there.";
    return [{ severity: "error", code: "log.io_failed", message, fix, line: 0 }];
  }
}
