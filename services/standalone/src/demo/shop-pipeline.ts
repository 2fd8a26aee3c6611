import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { shopSchema } from "./shop-schema.ts";

const pipeline = "datatrace-demo";

export const shopSource = "shop";

/** Under this name the target keeps the demo's offsets: pipeline, task, target. */
export const shopDelivery = `${pipeline}.shop.warehouse`;

/** Where the children find the two servers: an url may hold a password, so it stays out of the file. */
export function pipelineEnvironment(sourceUrl: string, targetUrl: string): Readonly<Record<string, string>> {
  return { DEMO_SOURCE_URL: sourceUrl, DEMO_TARGET_URL: targetUrl };
}

/** Writes the demo's pipeline file into the folder, with these lines about its log, and answers its path. */
export async function writePipeline(folder: string, logLines: readonly string[]): Promise<string> {
  const file = join(folder, "shop.yaml");
  await writeFile(
    file,
    `name: ${pipeline}
${logLines.map((line) => `${line}\n`).join("")}sources:
  ${shopSource}: { type: postgres, url: "\${DEMO_SOURCE_URL}" }
targets:
  warehouse: { type: postgres, url: "\${DEMO_TARGET_URL}" }
tasks:
  shop:
    from: ${shopSource}
    to: [warehouse]
    objects:
      - table: ${shopSchema}.*
`,
  );
  return file;
}
