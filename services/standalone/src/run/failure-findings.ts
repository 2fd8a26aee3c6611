import { DataTraceError } from "@datatrace/core";
import type { ErrorCode } from "@datatrace/core";
import type { CommandContext } from "../command-context.ts";
import { inspectPipeline } from "../inspect-pipeline.ts";
import { place } from "../pipeline-file.ts";
import type { PartFailure } from "./run-part.ts";

/** Failures of which the server says only that something is not allowed: the preflight knows what, and the statement. */
const explained: ReadonlySet<ErrorCode> = new Set(["source.grant_missing", "source.setting", "sink.grant_missing"]);

const timeoutMs = 5_000;

/** Says what the preflight finds about parts that have failed for such a reason. */
export async function explainFailures(context: CommandContext, failures: readonly PartFailure[]): Promise<void> {
  const codes = new Set(failures.map(({ error }) => (error instanceof DataTraceError ? error.code : null)));
  if (![...codes].some((code) => code !== null && explained.has(code))) return;
  const { pipeline, invocation, output, logger } = context;
  try {
    const { findings } = await inspectPipeline(pipeline, logger, AbortSignal.timeout(timeoutMs));
    for (const { line, table, ...finding } of findings) {
      if (!codes.has(finding.code)) continue;
      output.notice({ ...finding, at: place(invocation.file, line, table ?? "") });
    }
  } catch {
    // The failure itself has been said; that nothing more is known of it is no news.
  }
}
