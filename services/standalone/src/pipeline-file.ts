import { loadPipeline } from "@datatrace/runtime";
import type { Environment, Pipeline } from "@datatrace/runtime";
import { connectorSchemas } from "./open-connectors.ts";
import type { Output } from "./output.ts";

/** Reads the file and says what is wrong with it. Null when it cannot be used: exit code 2. */
export function readPipelineFile(file: string, environment: Environment, output: Output): Pipeline | null {
  const { pipeline, problems } = loadPipeline(file, connectorSchemas, environment);
  for (const { severity, code, message, fix, line, path } of problems) {
    output.notice({ severity, code, message, fix, at: place(file, line, path) });
  }
  return pipeline;
}

/** `pipeline.yaml:12 tasks.orders.sync`, with what is known of it. */
export function place(file: string, line: number, path: string): string {
  return `${file}${line > 0 ? `:${line}` : ""}${path === "" ? "" : ` ${path}`}`;
}
