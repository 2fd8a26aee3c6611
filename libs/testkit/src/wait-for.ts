import { setTimeout as delay } from "node:timers/promises";

export interface WaitOptions {
  /** How long the condition may take before the wait fails. */
  readonly deadlineMs: number;
  /** What is waited for, named in the failure. */
  readonly what: string;
  /** Between two looks; 10 when left out. */
  readonly intervalMs?: number;
}

/**
 * Looks again and again until the condition answers something other than false, null or undefined, and returns that.
 * A condition that throws fails the wait at once. @throws Error naming `what` at the deadline, the signal's reason.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { deadlineMs, what, intervalMs = 10 }: WaitOptions,
  signal?: AbortSignal,
): Promise<Exclude<T, false | null | undefined>> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    signal?.throwIfAborted();
    const answer = await condition();
    if (answer !== false && answer !== null && answer !== undefined) {
      return answer as Exclude<T, false | null | undefined>;
    }
    if (performance.now() >= end) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`);
    await delay(intervalMs, undefined, { signal });
  }
}
