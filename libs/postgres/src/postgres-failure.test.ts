import { expect, test } from "vitest";
import { failureDetail, postgresFailure } from "./postgres-failure.ts";

const answer = (code: string): unknown => ({
  code,
  severity: "ERROR",
  message: "Key (email)=(ann@x) exists",
  detail: "ann@x",
});
const network = (code: string): unknown => Object.assign(new Error("connect to ann@x"), { code });

test.each([
  [answer("23505"), "constraint"],
  [answer("22P02"), "value"],
  [answer("40P01"), "transient"],
  [answer("53300"), "transient"],
  [answer("53400"), "other"],
  [answer("57P01"), "connection"],
  [answer("28P01"), "login"],
  [answer("3D000"), "login"],
  [answer("42501"), "privilege"],
  [answer("42P01"), "missing"],
  [answer("42710"), "exists"],
  [answer("55006"), "busy"],
  [answer("42601"), "other"],
  [answer("XX000"), "other"],
  [network("ECONNREFUSED"), "connection"],
  [network("ENOTFOUND"), "connection"],
  [network("EAI_AGAIN"), "connection"],
  [network("DEPTH_ZERO_SELF_SIGNED_CERT"), "login"],
  [network("ERR_TLS_CERT_ALTNAME_INVALID"), "login"],
  [new Error("Connection terminated unexpectedly"), "connection"],
  [new Error("timeout expired"), "connection"],
  [new Error("The server does not support SSL connections"), "login"],
  [new Error("SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string"), "login"],
  [new TypeError("x is not a function"), "other"],
  [null, "other"],
  ["text", "other"],
] as const)("%# is told apart: %s", (error, kind) => {
  expect(postgresFailure(error).kind).toBe(kind);
});

test("I8: only codes and names of the catalog are passed on", () => {
  const failure = postgresFailure({
    ...(answer("23505") as object),
    schema: "s",
    table: "t",
    constraint: "t_key",
    where: "COPY ann@x",
  });
  expect(failureDetail(failure)).toEqual({ code: "23505", schema: "s", table: "t", constraint: "t_key" });
  expect(JSON.stringify(failure)).not.toContain("ann@x");
});
