import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { failpoint } from "@datatrace/core";
import { afterEach, expect, test } from "vitest";
import { failpoints } from "./failpoints.ts";
import { isAlive, isStopped } from "./process-tree.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { waitFor } from "./wait-for.ts";
import { guard } from "./watchdog.ts";

afterEach(() => {
  failpoints.clear();
});

test("counts what comes by, and acts at each hit or at one", () => {
  const seen: number[] = [];
  failpoint("area.step");
  {
    using _each = failpoints.on("area.step", (hit) => seen.push(hit));
    using _second = failpoints.on(
      "area.step",
      () => {
        throw new Error("at the second hit from here");
      },
      2,
    );
    failpoint("area.step");
    expect(() => {
      failpoint("area.step");
    }).toThrow("at the second hit from here");
    failpoint("area.step");
    failpoint("area.other");
  }
  failpoint("area.step");
  expect(seen).toEqual([2, 3, 4]);
  expect(failpoints.hits("area.step")).toBe(5);
  expect(failpoints.reached()).toEqual(
    new Map([
      ["area.step", 5],
      ["area.other", 1],
    ]),
  );
});

/** A process that comes by `area.step` three times in its main thread, then once in a worker. */
const program = `
import { failpoint } from "@datatrace/core";
import { Worker, isMainThread } from "node:worker_threads";
for (let turn = 1; turn <= 3; turn++) {
  try { failpoint("area.step"); } catch (error) { console.log(error.message); }
  console.log("turn " + turn);
}
new Worker('import("@datatrace/core").then((core) => { core.failpoint("worker.step"); console.log("worker went on"); })', { eval: true });
`;

function launch(orders: string, log: string) {
  const child = spawn(
    process.execPath,
    ["--import", "@datatrace/testkit/failpoints", "--input-type=module", "--eval", program],
    {
      cwd: import.meta.dirname,
      env: { ...process.env, DATATRACE_FAILPOINTS: orders, DATATRACE_FAILPOINT_LOG: log },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  if (child.pid === undefined) throw new Error("not started");
  const release = guard({ kind: "process", pid: child.pid });
  const { promise: ended, resolve } = Promise.withResolvers<number | NodeJS.Signals | null>();
  child.once("exit", (code, signal) => {
    release();
    resolve(signal ?? code);
  });
  return { child, pid: child.pid, ended, output: text(child.stdout), errors: text(child.stderr) };
}

test.for([
  { orders: "area.step=kill@2", end: "SIGKILL", output: "turn 1\n", fired: ["area.step kill 2"] },
  {
    orders: "area.step=throw@1, area.step=throw@3",
    end: 0,
    output: "failpoint area.step\nturn 1\nturn 2\nfailpoint area.step\nturn 3\nworker went on\n",
    fired: ["area.step throw 1", "area.step throw 3"],
  },
  { orders: "worker.step=kill", end: "SIGKILL", output: "turn 1\nturn 2\nturn 3\n", fired: ["worker.step kill 1"] },
  { orders: "", end: 0, output: "turn 1\nturn 2\nturn 3\nworker went on\n", fired: [] },
])("a process obeys `$orders`", async ({ orders, end, output, fired }) => {
  await using folder = await temporaryDirectory("failpoints");
  const log = join(folder.path, "fired");
  const started = launch(orders, log);
  expect(await started.ended).toBe(end);
  expect(await started.output).toBe(output);
  const lines = fired.length === 0 ? [] : readFileSync(log, "utf8").trim().split("\n");
  const records = lines.map(
    (line) => JSON.parse(line) as { failpoint: string; action: string; hit: number; pid: number },
  );
  expect(records.map((record) => `${record.failpoint} ${record.action} ${record.hit}`)).toEqual(fired);
  expect(records.every((record) => record.pid === started.pid)).toBe(true);
});

test("a process stops where it is told to, and goes on when it is woken", async () => {
  await using folder = await temporaryDirectory("failpoints");
  const log = join(folder.path, "fired");
  const started = launch("area.step=stop@2", log);
  await waitFor(() => isStopped(started.pid), { deadlineMs: 10_000, what: "the process to stop" });
  expect(isAlive(started.pid)).toBe(true);
  started.child.kill("SIGCONT");
  expect(await started.ended).toBe(0);
  expect(await started.output).toContain("turn 2\nturn 3\n");
});

test("a failpoint order that cannot be read ends the process, with the order named", async () => {
  await using folder = await temporaryDirectory("failpoints");
  const started = launch("area.step=explode", join(folder.path, "fired"));
  expect(await started.ended).toBe(1);
  expect(await started.errors).toContain("DATATRACE_FAILPOINTS: cannot read area.step=explode");
});
