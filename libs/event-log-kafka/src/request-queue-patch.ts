import type { KafkajsRequestQueue } from "./kafkajs-internals.ts";

const checkIntervalMs = 10;

/**
 * kafkajs 2.2.4 sets the timer for throttled requests again whenever it fires, also when nothing waits: each connection
 * costs a thousand timers a second, and Node 24 warns of their negative delay. With this one a timer runs only while
 * requests wait. Applied to the class's prototype, for every connection of the process.
 */
export function patchRequestQueue(queue: { readonly prototype: KafkajsRequestQueue }): void {
  queue.prototype.scheduleCheckPendingRequests = scheduleCheck;
}

function scheduleCheck(this: KafkajsRequestQueue): void {
  if (this.throttleCheckTimeoutId !== null || this.pending.length === 0) return;
  const delayMs = Math.max(this.throttledUntil - Date.now(), checkIntervalMs);
  this.throttleCheckTimeoutId = setTimeout(() => {
    this.throttleCheckTimeoutId = null;
    this.checkPendingRequests();
  }, delayMs);
}
