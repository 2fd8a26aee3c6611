import { randomInt } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAlive } from "./process-tree.ts";
import { guard } from "./watchdog.ts";

/** A port of the loopback interface that no other test takes, also while nothing listens on it. */
export interface PortClaim extends Disposable {
  readonly port: number;
}

// Below the range that the kernel takes outgoing connections' ports from (32768 on Linux, 49152 on macOS), so that a
// server which is down for a moment finds its port free when it comes back.
const lowest = 20_000;
const highest = 32_000;

/** Who holds a claim that was left behind is known by the pid in it. */
function tryClaim(file: string): boolean {
  try {
    writeFileSync(file, String(process.pid), { flag: "wx" });
    return true;
  } catch {
    let owner: string;
    try {
      owner = readFileSync(file, "utf8");
    } catch {
      return false;
    }
    // Empty: its maker is between open and write.
    if (owner !== "" && !isAlive(Number(owner))) rmSync(file, { force: true });
    return false;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  server.once("error", () => {
    resolve(false);
  });
  server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
    server.close(() => {
      resolve(true);
    });
  });
  return promise;
}

function* randomPorts(): Generator<number> {
  for (let attempt = 0; attempt < 1000; attempt++) yield randomInt(lowest, highest);
}

/** Claims the first free one of these ports until disposed of, in this process and against every other. */
export async function claimPort(ports: Iterable<number> = randomPorts()): Promise<PortClaim> {
  const folder = join(tmpdir(), `datatrace-ports-${process.getuid?.() ?? ""}`);
  mkdirSync(folder, { recursive: true });
  for (const port of ports) {
    const file = join(folder, String(port));
    if (!tryClaim(file)) continue;
    const release = guard({ kind: "path", path: file });
    const dispose = (): void => {
      rmSync(file, { force: true });
      release();
    };
    if (await isFree(port)) return { port, [Symbol.dispose]: dispose };
    dispose();
  }
  throw new Error("no free port");
}
