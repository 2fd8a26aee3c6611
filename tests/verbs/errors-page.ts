import { join } from "node:path";
import { errorTable } from "@datatrace/core";
import type { Retry } from "@datatrace/core";

export const errorsPagePath = join(import.meta.dirname, "..", "..", "docs", "errors.md");

const acts: Readonly<Record<Retry, string>> = {
  timed: "by itself",
  operator: "a person",
  never: "final",
};

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

/** The page of all error codes, as `docs/errors.md` has to be. `npm run fix` writes it. */
export function errorsPage(): string {
  const rows = Object.entries(errorTable).map(
    ([code, { means, fix, retry, status }]) =>
      `| \`${code}\` | ${cell(means)} | ${cell(fix)} | ${acts[retry]} | ${status} |`,
  );
  return [
    "# Errors",
    "",
    "Every error carries one of these codes, names where it happened, and says what to do. No message holds a value of a row",
    "or a secret. This page is generated from `libs/core/src/errors.ts` by `npm run fix`.",
    "",
    "*Goes on* tells who acts: *by itself* means that DataTrace tries again until it works, *a person* that somebody has to",
    "do what the fix says, *final* that trying again cannot help. *Status* is the HTTP status where an API answers with it.",
    "",
    "| code | means | fix | goes on | status |",
    "|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
