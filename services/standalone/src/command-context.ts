import type { Pipeline, StructuredLogger } from "@datatrace/runtime";
import type { Invocation } from "./command-line.ts";
import type { Output } from "./output.ts";

/** What every command with a pipeline file works with. */
export interface CommandContext {
  readonly pipeline: Pipeline;
  readonly invocation: Invocation;
  readonly output: Output;
  readonly logger: StructuredLogger;
  /** Aborted when the process has been asked to end. */
  readonly signal: AbortSignal;
}

/** Answers the exit code. What it throws ends the command with 1, or with 2 for an error of the file or the usage. */
export type Command = (context: CommandContext) => Promise<number>;
