import { spawn } from "node:child_process";
import { chmodSync, readdirSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startKafka } from "./kafka-server.ts";
import { isAlive, isStopped } from "./process-tree.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { waitFor } from "./wait-for.ts";

const deadlineMs = 30_000;

/** Whether somebody listens at `host:port`. */
async function listens(broker: string): Promise<boolean> {
  const [host = "", port = ""] = broker.split(":");
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createConnection({ host, port: Number(port) });
  socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
  const answer = await promise;
  socket.destroy();
  return answer;
}

test("a broker listens, keeps its port through kill and stop, freezes and wakes", async () => {
  await using kafka = await startKafka();
  const [broker = ""] = kafka.brokers;
  expect(await listens(broker)).toBe(true);
  const pid = kafka.pid(0) ?? 0;
  await kafka.kill(0);
  expect([isAlive(pid), kafka.pid(0), await listens(broker)]).toEqual([false, undefined, false]);
  await kafka.start(0);
  expect(await listens(broker)).toBe(true);
  await expect(kafka.start(0)).rejects.toThrow("runs already");
  await kafka.freeze(0);
  const frozen = kafka.pid(0) ?? 0;
  await waitFor(() => isStopped(frozen), { deadlineMs, what: "the broker to freeze" });
  await kafka.wake(0);
  await waitFor(() => !isStopped(frozen), { deadlineMs, what: "the broker to wake" });
  await kafka.stop(0);
  expect(isAlive(frozen)).toBe(false);
});

test("says in its log why it does not start", async () => {
  await expect(startKafka({ settings: { "num.io.threads": "many" } })).rejects.toThrow(
    /did not start:[\s\S]*num\.io\.threads/,
  );
});

test("after kill -9 of a process no broker of its own is left, nor any file", async () => {
  const program = `
import { startKafka } from ${JSON.stringify(join(import.meta.dirname, "kafka-server.ts"))};
const kafka = await startKafka();
console.log(JSON.stringify({ pid: kafka.pid(0), brokers: kafka.brokers }));
`;
  await using folder = await temporaryDirectory("kafka-owner");
  // The broker's user must get through to it.
  chmodSync(folder.path, 0o755);
  const owner = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, TMPDIR: folder.path },
  });
  const files = (): readonly string[] => readdirSync(folder.path).filter((name) => name.includes("kafka"));
  let printed = "";
  owner.stdout.setEncoding("utf8").on("data", (data: string) => {
    printed += data;
  });
  await waitFor(() => printed.endsWith("\n"), { deadlineMs, what: "the broker to start" });
  const { pid } = JSON.parse(printed) as { readonly pid: number };
  expect([isAlive(pid), files().length]).toEqual([true, 1]);
  owner.kill("SIGKILL");
  await waitFor(() => !isAlive(pid), { deadlineMs, what: "the broker to end" });
  await waitFor(() => files().length === 0, { deadlineMs, what: "its data to go" });
});
