import { durationText } from "./text-table.ts";

/** Seconds until nothing is left: null when nothing is left, Infinity when it grows or stands still. */
export function etaSeconds(left: number, donePerSecond: number): number | null {
  if (left <= 0) return null;
  return donePerSecond > 0 ? left / donePerSecond : Infinity;
}

/** A rate from one moment says little: the time is given with a range of a quarter. */
export function etaText(seconds: number | null): string {
  if (seconds === null) return "";
  if (!Number.isFinite(seconds)) return "never at this rate";
  return seconds < 5 ? "a moment" : `${durationText(seconds * 0.75)} to ${durationText(seconds * 1.25)}`;
}
