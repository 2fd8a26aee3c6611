const hook = Symbol.for("datatrace.failpoints");

/**
 * A named place where a test may stop, freeze or kill the process. Costs one property look-up, and does nothing unless
 * a test has loaded `@datatrace/testkit/failpoints` before anything else: there is no setting that turns it on.
 */
export function failpoint(name: string): void {
  (globalThis as { [hook]?: (name: string) => void })[hook]?.(name);
}
