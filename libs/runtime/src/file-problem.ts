import { errorTable } from "@datatrace/core";
import type { ErrorCode } from "@datatrace/core";
import { pathText } from "./yaml-source.ts";
import type { FilePath } from "./yaml-source.ts";

/** Something wrong (`error`) or unwise (`warning`) in a pipeline file. The message has names only, never a value (I8). */
export interface FileProblem {
  readonly severity: "error" | "warning";
  readonly code: ErrorCode;
  readonly message: string;
  readonly fix: string;
  /** 1-based; 0 when the file as a whole is meant. */
  readonly line: number;
  /** `tasks.orders.sync`, empty for the file itself. */
  readonly path: string;
}

export interface ProblemOptions {
  readonly fix?: string;
  readonly severity?: "error" | "warning";
}

export function fileProblem(
  code: ErrorCode,
  message: string,
  line: number,
  path: FilePath,
  options: ProblemOptions = {},
): FileProblem {
  const { fix = errorTable[code].fix, severity = "error" } = options;
  return { severity, code, message, fix, line, path: pathText(path) };
}

/** A name from the file as a message may show it: what does not look like a name might be a secret in the wrong place. */
export function shown(name: string): string {
  return /^[\w.*?+-]{1,80}$/.test(name) ? `\`${name}\`` : "(not shown: not a plain name)";
}
