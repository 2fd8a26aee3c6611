/**
 * The guarantees, by name. Each is cited as `// I1` on the line that enforces it and in the name of a test that
 * attacks it; an architecture test fails when either is missing.
 */
export const invariants = {
  I1: "A source position is acknowledged only after it is stored in the log with the events up to it",
  I2: "A position, an offset or an epoch never moves back",
  I3: "No committed change is missing from the log, and none is in it twice; identity = (commit position, index of the raw change); `r` rows stand outside it",
  I4: "Changes of one key keep their order",
  I5: "A log transaction or a target transaction is never half visible",
  I6: "What a target cannot hold exactly is refused or quarantined, never silently changed",
  I7: "kill -9 of any process at any line, and loss of any connection, is recovered from without a person",
  I8: "No cell value and no secret is written to a log line, a metric, or an error message",
} as const;

export type Invariant = keyof typeof invariants;

/** Stops on a bug of ours (never on bad input): the message names what was broken, and carries no cell value. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`);
}
