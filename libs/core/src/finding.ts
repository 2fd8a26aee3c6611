import type { ErrorCode } from "./errors.ts";

/** What a preflight check found: `error` would stop the run (or the table it names), `warning` would not. */
export interface Finding {
  readonly severity: "error" | "warning" | "info";
  readonly code: ErrorCode;
  /** What is wrong, with names and settings, never with cell values or secrets (I8). */
  readonly message: string;
  /** What to do, as specific as a command or a setting where there is one. */
  readonly fix: string;
  /** `schema.table` when it concerns one table only. */
  readonly table?: string;
}
