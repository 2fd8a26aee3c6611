import { failpoints, frozenFaults, plainFaults } from "./faults.ts";
import type { RoundReport } from "./round.ts";

/** How often each fault, and each failpoint in whatever way, was really hit. */
export function countHits(reports: readonly RoundReport[]): ReadonlyMap<string, number> {
  const hits = new Map<string, number>();
  for (const name of [...failpoints.map((failpoint) => failpoint.name), ...frozenFaults, ...plainFaults])
    hits.set(name, 0);
  for (const report of reports) {
    const failpointNames = report.firedFailpoints;
    for (const name of failpointNames) hits.set(name, (hits.get(name) ?? 0) + 1);
    for (const { fault, hit } of report.faults) {
      // A kill at a failpoint is counted by the process's own word, above.
      if (hit && !failpoints.some(({ name }) => name === fault)) hits.set(fault, (hits.get(fault) ?? 0) + 1);
    }
  }
  return hits;
}

/** Faults with fewer hits than wanted, with their counts. */
export function belowMark(hits: ReadonlyMap<string, number>, mark: number): readonly string[] {
  return [...hits].filter(([, count]) => count < mark).map(([name, count]) => `${name}: ${count}`);
}
