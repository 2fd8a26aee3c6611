import type { CaptureSource } from "@datatrace/core";
import { pause } from "./back-off.ts";
import { isPassing } from "./stop-reason.ts";
import type { UnseenTransactions } from "./unseen-transactions.ts";

/** While a chunk waits for a transaction to become visible, it is looked for this often. */
const awaitedMs = 10;

/** Forgets delivered transactions once a session opened now sees them. Asks nothing while there are none. */
export async function watchVisibility(
  source: CaptureSource,
  unseen: UnseenTransactions,
  intervalMs: number,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await pause(unseen.awaited ? Math.min(awaitedMs, intervalMs) : intervalMs, signal);
    if (unseen.size === 0) continue;
    try {
      unseen.prune(await source.currentView(signal));
    } catch (error) {
      // The stream notices a source that is gone, and says so; until then nothing is forgotten.
      if (!isPassing(error)) throw error;
    }
  }
}
