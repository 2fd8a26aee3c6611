import type { PublishedEvent } from "./published-rows.ts";

/** A committed change, as a writer knows it. `chg` of a delete is not known to the log. */
export type CommittedChange = `${"c" | "u"} ${string} ${number}` | `d ${string}`;

/**
 * Compares the events of a table with what its writers committed since the stream began: each change once, the changes
 * of a key in order, no row read that is older than a change before it. The table has a column `chg`, a number that
 * grows with every change. @returns what is wrong, in words.
 */
export function checkHistory(
  events: readonly PublishedEvent[],
  committed: readonly CommittedChange[],
): readonly string[] {
  const wrong: string[] = [];
  const last = new Map<string, { chg: number; deleted: boolean }>();
  const seen = new Map<string, number>();
  for (const [index, { op, key, cells, partition }] of events.entries()) {
    const before = last.get(key);
    const chg = Number(cells?.get("chg") ?? 0);
    if (op === "tombstone") {
      if (events[index - 1]?.op !== "d") wrong.push(`${key}: tombstone without its delete`);
    } else if (op === "r") {
      if (before?.deleted === true) wrong.push(`${key}: read after its delete`);
      if (before !== undefined && before.chg !== chg) wrong.push(`${key}: read ${chg} after change ${before.chg}`);
    } else if (op === "d") {
      const next = events[index + 1];
      if (next?.op !== "tombstone" || next.partition !== partition) wrong.push(`${key}: delete without its tombstone`);
      count(seen, `d ${key}`);
      last.set(key, { chg: before?.chg ?? 0, deleted: true });
    } else {
      if (before !== undefined && before.chg >= chg) wrong.push(`${key}: change ${chg} after ${before.chg}`);
      count(seen, `${op} ${key} ${chg}`);
      last.set(key, { chg, deleted: false });
    }
  }
  const expected = new Map<string, number>();
  for (const change of committed) count(expected, change);
  for (const change of new Set([...expected.keys(), ...seen.keys()])) {
    const [wanted, found] = [expected.get(change) ?? 0, seen.get(change) ?? 0];
    if (wanted !== found) wrong.push(`${change}: ${found} times, not ${wanted}`);
  }
  return wrong;
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
