// The command line. On a Node that cannot run this tree nothing but this file is loaded, so that the message is clear.
import { nodeVersionProblem } from "./node-version.ts";

const problem = nodeVersionProblem(process.versions.node, process.argv.includes("--json"));
if (problem === null) {
  const { runCommandLine } = await import("./run-command-line.ts");
  process.exitCode = await runCommandLine(process.argv.slice(2));
} else {
  process.stderr.write(`${problem}\n`);
  process.exitCode = 2;
}
