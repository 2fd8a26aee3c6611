import type { ErrorDetail } from "@datatrace/core";

/**
 * What went wrong, by who can do something about it.
 * `connection`: the server cannot be reached, or the session was lost: try again.
 * `login`: user, password, database or TLS are not accepted.
 * `privilege`: the role lacks a grant.
 * `transient`: deadlock, serialization, lock timeout, out of disk, memory or connections, shutting down: try again.
 * `constraint`: unique, foreign key, check, not null or exclusion.
 * `value`: a value that the column's type cannot hold.
 * `missing`: no such table, column, type, schema, function or object.
 * `exists`: the object is there already.
 * `busy`: the object is in use (a replication slot that somebody streams).
 * `other`: everything else, such as a syntax error.
 */
export type FailureKind =
  | "connection"
  | "login"
  | "privilege"
  | "transient"
  | "constraint"
  | "value"
  | "missing"
  | "exists"
  | "busy"
  | "other";

/** All that may be said about a driver's error. Its message, detail and where contain values and are left behind (I8). */
export interface PostgresFailure {
  readonly kind: FailureKind;
  /** SQLSTATE, or the code of a network or TLS error such as `ECONNREFUSED`; null when the driver gave none. */
  readonly code: string | null;
  readonly schema: string | null;
  readonly table: string | null;
  readonly column: string | null;
  readonly constraint: string | null;
}

const byState: Readonly<Record<string, FailureKind>> = {
  // What a connection pooler answers to start parameters that it does not pass on.
  "08P01": "login",
  "28000": "login",
  "28P01": "login",
  "3D000": "login",
  "42501": "privilege",
  "57014": "transient",
  "57P01": "connection",
  "57P02": "connection",
  "57P03": "connection",
  "57P04": "login",
  "57P05": "connection",
  "25P03": "connection",
  "25P04": "connection",
  "40001": "transient",
  "40P01": "transient",
  "55P03": "transient",
  "55006": "busy",
  "53300": "transient",
  // A limit of the configuration, such as max_replication_slots: time does not help.
  "53400": "other",
  "42P07": "exists",
  "42710": "exists",
  "42701": "exists",
  "42P06": "exists",
  "42P01": "missing",
  "42703": "missing",
  "42704": "missing",
  "42883": "missing",
  "3F000": "missing",
  "54000": "value",
};

const byClass: Readonly<Record<string, FailureKind>> = {
  "08": "connection",
  "23": "constraint",
  "22": "value",
  "40": "transient",
  "53": "transient",
  "58": "transient",
};

/** Reads a driver's error. What is neither an answer of the server nor a known sign of a lost connection is `other`. */
export function postgresFailure(error: unknown): PostgresFailure {
  const raw = (typeof error === "object" && error !== null ? error : {}) as Readonly<Record<string, unknown>>;
  const code = text(raw["code"]);
  return {
    kind: kindOf(code, raw),
    code,
    schema: text(raw["schema"]),
    table: text(raw["table"]),
    column: text(raw["column"]),
    constraint: text(raw["constraint"]),
  };
}

/** The same as fields of a `DataTraceError`. */
export function failureDetail(failure: PostgresFailure): ErrorDetail {
  const { code, schema, table, column, constraint } = failure;
  const fields = { code, schema, table, column, constraint };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null)) as ErrorDetail;
}

function kindOf(code: string | null, raw: Readonly<Record<string, unknown>>): FailureKind {
  // Only an answer of the server has a severity.
  if (code !== null && text(raw["severity"]) !== null) {
    return byState[code] ?? byClass[code.slice(0, 2)] ?? "other";
  }
  const message = text(raw["message"]) ?? "";
  if (/^SASL|Password must be a string|client password must be/i.test(message)) return "login";
  if (/does not support SSL/.test(message)) return "login";
  if (code !== null && /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH)/.test(code)) {
    return "login";
  }
  const network = code !== null && /^E[A-Z]+(_[A-Z]+)?$/.test(code) && !code.startsWith("ERR_");
  return network || /connection|not queryable|timeout|closed|terminated/i.test(message) ? "connection" : "other";
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
