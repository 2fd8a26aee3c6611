import { readFileSync, readdirSync } from "node:fs";
import { execFileSync } from "node:child_process";

interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly state: string;
}

/** `/proc/<pid>/stat`: `pid (name) state ppid …`; the name may hold spaces and parentheses, so it is cut at the last one. */
function parseStat(pid: number, stat: string): ProcessEntry {
  const [state = "", parent = "0"] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { pid, parent: Number(parent), state };
}

function read(pid: number): ProcessEntry | undefined {
  if (process.platform === "linux") {
    try {
      return parseStat(pid, readFileSync(`/proc/${pid}/stat`, "utf8"));
    } catch {
      return undefined;
    }
  }
  return list().find((entry) => entry.pid === pid);
}

function list(): readonly ProcessEntry[] {
  if (process.platform === "linux") {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => read(Number(name)) ?? []);
  }
  return execFileSync("ps", ["-A", "-o", "pid=,ppid=,stat="], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((line) => {
      const [pid = "0", parent = "0", state = ""] = line.trim().split(/\s+/);
      return { pid: Number(pid), parent: Number(parent), state };
    });
}

/** True while the process can still do anything: a zombie that nobody has reaped cannot. */
export function isAlive(pid: number): boolean {
  const entry = read(pid);
  return entry !== undefined && !entry.state.startsWith("Z");
}

/** True for a process that SIGSTOP has frozen, to its last thread: each stops by itself, a moment after the signal. */
export function isStopped(pid: number): boolean {
  const threads = threadsOf(pid);
  return threads.length > 0 && threads.every(({ state }) => state.startsWith("T"));
}

function threadsOf(pid: number): readonly ProcessEntry[] {
  if (process.platform !== "linux") return list().filter((entry) => entry.pid === pid);
  try {
    return readdirSync(`/proc/${pid}/task`).map((thread) =>
      parseStat(pid, readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8")),
    );
  } catch {
    // It has ended, or a thread of it has: then it is not frozen.
    return [];
  }
}

export function childrenOf(pid: number): readonly number[] {
  return list()
    .filter((entry) => entry.parent === pid)
    .map((entry) => entry.pid);
}

/** Sends a signal; false when there is no such process any more. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
