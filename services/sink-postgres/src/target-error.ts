import { DataTraceError } from "@datatrace/core";
import type { ErrorCode } from "@datatrace/core";
import { failureDetail, postgresFailure } from "@datatrace/postgres";
import type { FailureKind } from "@datatrace/postgres";

/**
 * What a refusal of the target means for a delivery. `transient`: the same unit may work later. `row`: one row is to
 * blame. `order`: a constraint that the change of another key may resolve. `target`: no row of the table can work.
 */
export type RefusalScope = "transient" | "row" | "order" | "target";

/** By SQLSTATE (PostgreSQL manual, appendix A): the full code where it is listed, else its class. */
const scopes: Readonly<Record<string, RefusalScope>> = {
  // Another row of the target stands in the way, or is not there yet.
  "23503": "order",
  "23505": "order",
  "23P01": "order",
  // A second row for one conflict target in one statement: keys that are equal only at the target.
  "21000": "order",
  // The row is too large for an index or a page.
  "54000": "row",
  "55006": "transient",
  "55P03": "transient",
  "25006": "transient",
  // Idle-in-transaction and transaction timeouts: the session was ended.
  "25P03": "transient",
  "25P04": "transient",
  "25P02": "transient",
  // A prepared statement that the server no longer knows: a pooler gave us another session.
  "26000": "transient",
  "08": "transient",
  "22": "row",
  "23": "row",
  // A trigger or function of the target refused.
  "09": "row",
  "38": "row",
  "39": "row",
  P0: "row",
  "40": "transient",
  "53": "transient",
  "57": "transient",
  "58": "transient",
};

/** SQLSTATE of an answer of the server; null for trouble of the connection. */
export function sqlStateOf(error: unknown): string | null {
  const isAnswer = typeof error === "object" && error !== null && "severity" in error;
  return isAnswer ? postgresFailure(error).code : null;
}

export function refusalScope(error: unknown): RefusalScope {
  const state = sqlStateOf(error);
  if (state === null) return "transient";
  return scopes[state] ?? scopes[state.slice(0, 2)] ?? "target";
}

const byState: Readonly<Record<string, ErrorCode>> = {
  "25006": "sink.read_only",
  "42P01": "sink.table_missing",
  "3F000": "sink.table_missing",
};

const byKind: Readonly<Partial<Record<FailureKind, ErrorCode>>> = {
  login: "sink.login_failed",
  privilege: "sink.grant_missing",
  connection: "sink.connection_lost",
};

const byScope: Readonly<Record<RefusalScope, ErrorCode>> = {
  transient: "sink.transient",
  row: "sink.row_rejected",
  order: "sink.row_rejected",
  target: "sink.target_rejected",
};

function codeOf(error: unknown, kind: FailureKind, state: string | null): ErrorCode {
  if (state !== null && byState[state] !== undefined) return byState[state];
  // Neither an answer of the server nor trouble of the connection: ours.
  if (kind === "other" && sqlStateOf(error) === null) return "internal.bug";
  return byKind[kind] ?? byScope[refusalScope(error)];
}

/**
 * The error a user meets. PostgreSQL's message, detail and hint hold cell values ("Key (email)=(…)"), so none of them,
 * and not the driver's error as a cause, is passed on: only SQLSTATE and the names of what refused (I8).
 */
export function targetError(error: unknown, table?: string): DataTraceError {
  if (error instanceof DataTraceError) return error;
  const failure = postgresFailure(error);
  const detail = { ...failureDetail(failure), ...(table === undefined ? {} : { table }) };
  return new DataTraceError(codeOf(error, failure.kind, failure.code), { detail });
}
