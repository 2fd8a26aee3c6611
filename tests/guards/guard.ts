import type { Invariant } from "@datatrace/core";

/**
 * One line (or few) that keeps an invariant, how to take it away, and the test that must then fail. The text is found
 * exactly once in its file, so a guard that was moved or rewritten is noticed.
 */
export interface Guard {
  /** A few words, unique. */
  readonly name: string;
  readonly invariant: Invariant;
  /** From the root. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  readonly test: {
    /** From the root. */
    readonly file: string;
    /** The whole title, or the part of it that no other test of the file has. */
    readonly title: string;
  };
  /** True for those that the short form runs too. */
  readonly short?: true;
}
