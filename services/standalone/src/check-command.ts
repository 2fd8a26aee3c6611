import type { CommandContext } from "./command-context.ts";
import { inspectLog } from "./inspect-log.ts";
import { inspectPipeline } from "./inspect-pipeline.ts";
import { place } from "./pipeline-file.ts";

/** `check FILE`: every finding; 1 when one would stop the run. Changes nothing, at the source, the target or in the log. */
export async function checkCommand(context: CommandContext): Promise<number> {
  const { pipeline, invocation, output, logger, signal } = context;
  const [ofLog, { findings, tables }] = await Promise.all([
    inspectLog(pipeline.log, signal),
    inspectPipeline(pipeline, logger, signal),
  ]);
  const all = [...ofLog, ...findings];
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
