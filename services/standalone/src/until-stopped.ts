import { DataTraceError } from "@datatrace/core";
import { Shutdown } from "@datatrace/runtime";
import type { StructuredLogger } from "@datatrace/runtime";
import { noticeOf } from "./output.ts";
import type { Output } from "./output.ts";

const wrongUsage = 2;
const failed = 1;

export interface StoppableOptions {
  readonly output: Output;
  readonly logger: StructuredLogger;
  /** SIGTERM is the ordinary end. */
  readonly terminatedIsDone: boolean;
}

/** Does the work of this process, until it is done or a signal asks it to end. Answers the exit code, and says what went wrong. */
export async function untilStopped(
  { output, logger, terminatedIsDone }: StoppableOptions,
  work: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const shutdown = new Shutdown(
    {
      stopping: ({ signal, error }) => {
        if (signal !== null) logger.info("stopping", { signal });
        else logger.error("internal error", { error });
      },
      timedOut: () => output.notice(noticeOf(new DataTraceError("task.stop_timeout"))),
    },
    { terminatedIsDone },
  );
  let result: number;
  try {
    result = await work(shutdown.signal);
  } catch (error) {
    result = shutdown.signal.aborted && isAbort(error, shutdown.signal) ? 0 : explain(error, output, logger);
  } finally {
    output.screen[Symbol.dispose]();
  }
  return shutdown.finish(result);
}

function isAbort(error: unknown, signal: AbortSignal): boolean {
  return error === signal.reason || (error instanceof Error && error.name === "AbortError");
}

/** Says what ended the command: in words for what a user can meet, with frames in the log for a bug. */
function explain(error: unknown, output: Output, logger: StructuredLogger): number {
  output.notice(noticeOf(error));
  if (!(error instanceof DataTraceError) || error.code === "internal.bug") logger.error("internal error", { error });
  return error instanceof DataTraceError && error.code.startsWith("config.") ? wrongUsage : failed;
}
