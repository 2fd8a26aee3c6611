import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

export interface ProcessUsage {
  /** User and system time of all threads since the start. */
  readonly cpuSeconds: number;
  /** The most memory it had at any time, where the system keeps that; else what it has now. */
  readonly peakRssMiB: number;
}

/** Clock ticks per second of /proc; 100 on every Linux that Node supports. */
const ticksPerSecond = 100;

/** What a process has used so far. */
export function usageOf(pid: number): ProcessUsage {
  if (process.platform !== "linux") {
    const [time = "0:00", rss = "0"] = execFileSync("ps", ["-o", "time=,rss=", "-p", String(pid)], { encoding: "utf8" })
      .trim()
      .split(/\s+/);
    const cpuSeconds = time.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
    return { cpuSeconds, peakRssMiB: Number(rss) / 1_024 };
  }
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // Fields 14 and 15; the name in field 2 may hold spaces, so it is cut at its last parenthesis.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
    peakRssMiB: Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024,
  };
}

/**
 * User and system time of a server and all its processes, those that have ended included, in seconds; null where the
 * system does not tell.
 */
export function serverCpuSeconds(pid: number | undefined): number | null {
  if (process.platform !== "linux" || pid === undefined) return null;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
  const ticks = [String(pid), ...children].map((each) => {
    const stat = readFileSync(`/proc/${each}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  });
  return ticks.reduce((sum, each) => sum + each, 0) / ticksPerSecond;
}
