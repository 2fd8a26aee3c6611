// The command line. On a Node that cannot run this tree nothing but this file is loaded, so that the message is clear.
import module from "node:module";
import { join } from "node:path";
import { nodeVersionProblem } from "./node-version.ts";

const problem = nodeVersionProblem(process.versions.node, process.argv.includes("--json"));
if (problem === null) {
  // Starts in half the time. Beside the packages, where only those may write who could change the code itself.
  module.enableCompileCache(join(import.meta.dirname, "..", "..", "..", "node_modules", ".cache", "datatrace"));
  const { runCommandLine } = await import("./run-command-line.ts");
  process.exitCode = await runCommandLine(process.argv.slice(2));
} else {
  process.stderr.write(`${problem}\n`);
  process.exitCode = 2;
}
