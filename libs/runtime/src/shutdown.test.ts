import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { guard } from "@datatrace/testkit";
import { expect, test } from "vitest";

const subject = fileURLToPath(new URL("shutdown.ts", import.meta.url));

/** A process that says `ready`, and works until it is asked to end; `stop` is what it does then. */
function child(options: string, stop: string, meanwhile = "") {
  const program = `
    import { Shutdown } from ${JSON.stringify(subject)};
    const shutdown = new Shutdown({ stopping: ({ signal }) => console.log("stopping", signal), timedOut: () => console.log("timed out") }, ${options});
    const alive = setInterval(() => {}, 1000);
    console.log("ready");
    ${meanwhile}
    await new Promise((resolve) => shutdown.signal.addEventListener("abort", resolve));
    ${stop}
    clearInterval(alive);
    process.exitCode = shutdown.finish(result);`;
  const running = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const release = running.pid === undefined ? undefined : guard({ kind: "process", pid: running.pid });
  let output = "";
  const said = (text: string) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (output.includes(text)) resolve();
      };
      running.stdout.on("data", look);
      look();
    });
  running.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
  });
  const ended = new Promise<number | null>((resolve) => {
    running.once("close", (code) => {
      release?.();
      resolve(code);
    });
  });
  return { kill: (signal: NodeJS.Signals) => running.kill(signal), said, ended, output: () => output };
}

const service = "{ terminatedIsDone: true }";
const command = "{ terminatedIsDone: false }";
const clean = "const result = 0;";
const hangs = "const result = await new Promise(() => {});";

const ends: readonly (readonly [string, NodeJS.Signals, string, string, number])[] = [
  ["SIGTERM of a service", "SIGTERM", service, clean, 0],
  ["SIGTERM of a command", "SIGTERM", command, clean, 143],
  ["SIGINT", "SIGINT", service, clean, 130],
  ["SIGHUP", "SIGHUP", service, clean, 129],
  ["SIGTERM of a service that fails to stop", "SIGTERM", service, "const result = 1;", 1],
];

test.for(ends)("%s", async ([, signal, options, stop, code]) => {
  const running = child(options, stop);
  await running.said("ready");
  running.kill(signal);
  expect(await running.ended).toBe(code);
  expect(running.output()).toBe(`ready\nstopping ${signal}\n`);
});

test("a second signal ends it at once", async () => {
  const running = child(service, hangs);
  await running.said("ready");
  running.kill("SIGTERM");
  await running.said("stopping");
  running.kill("SIGINT");
  expect(await running.ended).toBe(130);
});

test("a stop that takes too long is ended, and said", async () => {
  const running = child("{ terminatedIsDone: true, timeoutMs: 100 }", hangs);
  await running.said("ready");
  running.kill("SIGTERM");
  expect(await running.ended).toBe(1);
  expect(running.output()).toContain("timed out");
});

test("an error that nobody caught stops it too, with 1", async () => {
  const running = child(service, clean, "setTimeout(() => { throw new Error('bug'); }, 10);");
  expect(await running.ended).toBe(1);
  expect(running.output()).toBe("ready\nstopping null\n");
});
