import { spawn } from "node:child_process";
import type { SpawnOptions } from "node:child_process";
import { guard } from "./watchdog.ts";

/**
 * Runs a program to its end with `input` on its standard input. Killed when the signal aborts or when we die.
 * @throws Error with the end of what it printed when it does not exit with 0.
 */
export async function runCommand(
  file: string,
  args: readonly string[],
  options: SpawnOptions & { readonly input?: string } = {},
  signal?: AbortSignal,
): Promise<void> {
  signal?.throwIfAborted();
  const { input, ...rest } = options;
  const child = spawn(file, args, { ...rest, stdio: ["pipe", "pipe", "pipe"] });
  const release = child.pid === undefined ? undefined : guard({ kind: "process", pid: child.pid });
  const abort = (): boolean => child.kill("SIGKILL");
  signal?.addEventListener("abort", abort, { once: true });
  let printed = "";
  const keep = (data: string): void => {
    printed = (printed + data).slice(-4000);
  };
  child.stdout?.setEncoding("utf8").on("data", keep);
  child.stderr?.setEncoding("utf8").on("data", keep);
  // A program that ends without reading its input breaks the pipe; its exit code says what matters.
  child.stdin?.on("error", () => undefined).end(input ?? "");
  try {
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.once("error", reject);
    child.once("close", resolve);
    const code = await promise;
    signal?.throwIfAborted();
    if (code !== 0) throw new Error(`${file} ended with ${code ?? child.signalCode}: ${printed.trim()}`);
  } finally {
    signal?.removeEventListener("abort", abort);
    release?.();
  }
}
