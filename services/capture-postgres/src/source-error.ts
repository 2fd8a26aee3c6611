import { DataTraceError } from "@datatrace/core";
import type { ErrorCode, ErrorOptions } from "@datatrace/core";
import { failureDetail, postgresFailure } from "@datatrace/postgres";
import type { FailureKind } from "@datatrace/postgres";

const codes: Readonly<Record<Exclude<FailureKind, "other">, ErrorCode>> = {
  connection: "source.connection_lost",
  login: "source.login_failed",
  privilege: "source.grant_missing",
  transient: "source.transient",
  busy: "source.transient",
  missing: "source.query_failed",
  exists: "source.query_failed",
  constraint: "source.query_failed",
  value: "source.query_failed",
};

/** States that mean a limit of the server: slots, senders. */
const settingStates = new Set(["53400", "55000"]);

/**
 * What is thrown to the runtime instead of a driver's error, whose message and cause contain values (I8). Errors of our
 * own, an abort and bugs pass through. `overrides`: what a kind of failure means at this place.
 */
export function sourceError(
  error: unknown,
  overrides: Partial<Record<FailureKind, readonly [ErrorCode, ErrorOptions]>> = {},
): unknown {
  if (error instanceof DataTraceError || (error instanceof Error && error.name === "AbortError")) return error;
  const failure = postgresFailure(error);
  const detail = failureDetail(failure);
  const override = overrides[failure.kind];
  if (override !== undefined) {
    const [code, options] = override;
    return new DataTraceError(code, { ...options, detail: { ...detail, ...options.detail } });
  }
  if (failure.kind !== "other") return new DataTraceError(codes[failure.kind], { detail });
  if (failure.code === null) return error;
  return new DataTraceError(settingStates.has(failure.code) ? "source.setting" : "source.query_failed", { detail });
}
