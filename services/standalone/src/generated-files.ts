import { join } from "node:path";
import { pipelineSchema } from "@datatrace/runtime";
import { configurationPage } from "./configuration-page.ts";
import { connectorSchemas } from "./open-connectors.ts";

export interface GeneratedFile {
  /** Absolute. */
  readonly path: string;
  readonly text: string;
}

/** Files of the repository that are made from code. `npm run fix` writes them, a test compares them. */
export function generatedFiles(): readonly GeneratedFile[] {
  const root = join(import.meta.dirname, "..", "..", "..");
  return [
    { path: join(root, "schemas", "pipeline.schema.json"), text: schemaText() },
    { path: join(root, "docs", "configuration.md"), text: configurationPage(connectorSchemas) },
  ];
}

/** What `schema` prints. */
export function schemaText(): string {
  return `${JSON.stringify(pipelineSchema(connectorSchemas), null, 2)}\n`;
}
