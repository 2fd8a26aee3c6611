import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isAlive } from "./process-tree.ts";
import { waitFor } from "./wait-for.ts";
import { guard } from "./watchdog.ts";

// Four seconds are what the watchdog gives a server; the rest is for a busy machine.
const deadlineMs = 30_000;

/** Says what it has started, then waits for ever. */
const program = `
import { spawn } from "node:child_process";
import { temporaryDirectory } from ${JSON.stringify(join(import.meta.dirname, "temporary-directory.ts"))};
import { guard } from ${JSON.stringify(join(import.meta.dirname, "watchdog.ts"))};
const kept = await temporaryDirectory("kept");
const gone = await temporaryDirectory("gone");
await gone[Symbol.asyncDispose]();
const child = spawn("sleep", ["1000"], { detached: true, stdio: "ignore" });
guard({ kind: "process", pid: child.pid });
const server = spawn("sh", ["-c", process.env.SERVER], { detached: true, stdio: "ignore" });
guard({ kind: "server", pid: server.pid });
const released = spawn("sleep", ["1000"], { detached: true, stdio: "ignore" });
guard({ kind: "process", pid: released.pid })();
console.log(JSON.stringify({ kept: kept.path, gone: gone.path, pids: [child.pid, server.pid], released: released.pid }));
setInterval(() => {}, 1000);
`;

interface Started {
  readonly kept: string;
  readonly gone: string;
  readonly pids: readonly number[];
  readonly released: number;
}

async function launch(server: string) {
  const owner = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    env: { ...process.env, SERVER: server },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let printed = "";
  owner.stdout.setEncoding("utf8").on("data", (data: string) => {
    printed += data;
  });
  await waitFor(() => printed.endsWith("\n"), { deadlineMs, what: "the owner to start" });
  return { owner, started: JSON.parse(printed) as Started };
}

test.for([
  { signal: "SIGTERM" as const, kind: "an obedient", server: "exec sleep 1000" },
  { signal: "SIGKILL" as const, kind: "a frozen", server: "kill -STOP $$; exec sleep 1000" },
  { signal: "SIGKILL" as const, kind: "a deaf", server: "trap '' QUIT; while :; do sleep 1; done" },
])(
  "after $signal of a process nothing that it guarded is left, $kind server included",
  { timeout: 60_000 },
  async ({ signal, server }) => {
    const { owner, started } = await launch(server);
    // What was taken off the list is left alone: it is ours to end.
    const end = guard({ kind: "process", pid: started.released });
    expect(started.pids.map((pid) => isAlive(pid))).toEqual([true, true]);
    expect([existsSync(started.kept), existsSync(started.gone)]).toEqual([true, false]);
    owner.kill(signal);
    await waitFor(() => !started.pids.some((pid) => isAlive(pid)), { deadlineMs, what: "the processes to end" });
    await waitFor(() => !existsSync(started.kept), { deadlineMs, what: "the folder to go" });
    expect(isAlive(started.released)).toBe(true);
    process.kill(started.released, "SIGKILL");
    end();
  },
);
