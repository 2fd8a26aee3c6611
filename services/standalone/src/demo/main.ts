import { DataTraceError } from "@datatrace/core";
import { watchLauncher } from "./launcher.ts";
import { demoHelp, parseDemoOptions } from "./options.ts";
import { runDemo } from "./run-demo.ts";

/** `npm run demo`: exit code 0 when all was well, 1 when rows differ or something failed, 2 for wrong usage. */
async function main(): Promise<number> {
  const options = parseDemoOptions(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(demoHelp);
    return 0;
  }
  const stop = new AbortController();
  // The first Ctrl-C ends the demo cleanly; a second one at once, and the watchdog sees to what is left.
  process.once("SIGINT", () => stop.abort());
  process.once("SIGTERM", () => stop.abort());
  process.once("SIGHUP", () => stop.abort());
  process.stdout.on("error", () => stop.abort());
  watchLauncher(() => stop.abort());
  return await runDemo(options, stop.signal);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof DataTraceError)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\nfix: ${error.fix}\n`);
  process.exitCode = error.code === "config.usage" ? 2 : 1;
}
