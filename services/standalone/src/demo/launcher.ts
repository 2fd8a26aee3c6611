import { execFileSync } from "node:child_process";
import { isAlive } from "@datatrace/testkit";

const lookMs = 500;

/**
 * Calls `gone` when the npm that started this process has ended without telling us, as after SIGKILL: between it and
 * us there may be a shell, which waits for us and passes nothing on. Does nothing when npm was not involved.
 */
export function watchLauncher(gone: () => void): void {
  if (process.env["npm_lifecycle_event"] === undefined) return;
  const pids = [process.ppid, parentOf(process.ppid)].filter((pid) => pid > 1);
  const timer = setInterval(() => {
    if (pids.every((pid) => isAlive(pid))) return;
    clearInterval(timer);
    gone();
  }, lookMs);
  timer.unref();
}

/** 0 when it cannot be told. */
function parentOf(pid: number): number {
  try {
    return Number(execFileSync("ps", ["-o", "ppid=", "-p", String(pid)], { encoding: "utf8" }).trim());
  } catch {
    return 0;
  }
}
