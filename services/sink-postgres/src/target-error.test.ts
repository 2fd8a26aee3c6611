import { expect, test } from "vitest";
import { refusalScope, targetError } from "./target-error.ts";

function answer(code: string, rest: Readonly<Record<string, string>> = {}): Error {
  return Object.assign(new Error("a planted value"), { code, severity: "ERROR", detail: "(name)=(planted)", ...rest });
}

const scopes: Readonly<Record<string, readonly string[]>> = {
  transient: [
    "08006",
    "25006",
    "25P03",
    "26000",
    "40001",
    "40P01",
    "53100",
    "53300",
    "55P03",
    "57014",
    "57P01",
    "58030",
  ],
  row: ["22001", "22003", "22007", "22021", "22P02", "23502", "23514", "54000", "P0001", "38000"],
  order: ["21000", "23503", "23505", "23P01"],
  target: ["42P01", "42501", "42703", "42804", "42P10", "0A000", "XX000"],
};

test.each(Object.entries(scopes))("what is %s by its SQLSTATE", (scope, states) => {
  expect(states.map((state) => refusalScope(answer(state)))).toEqual(states.map(() => scope));
});

test("trouble of the connection is transient", () => {
  expect(refusalScope(Object.assign(new Error("x"), { code: "ECONNRESET" }))).toBe("transient");
  expect(refusalScope(new Error("Connection terminated unexpectedly"))).toBe("transient");
  expect(targetError(new Error("Connection terminated unexpectedly")).code).toBe("sink.connection_lost");
});

test("codes tell who can act", () => {
  const codes = ["25006", "42P01", "42501", "28P01", "3D000", "57P01", "23514", "42703", "55P03"].map(
    (state) => targetError(answer(state)).code,
  );
  expect(codes).toEqual([
    "sink.read_only",
    "sink.table_missing",
    "sink.grant_missing",
    "sink.login_failed",
    "sink.login_failed",
    "sink.connection_lost",
    "sink.row_rejected",
    "sink.target_rejected",
    "sink.transient",
  ]);
});

test("I8: of an answer only names are kept, and the driver's error is no cause", () => {
  const error = targetError(answer("23514", { schema: "shop", table: "items", column: "name", constraint: "short" }));
  expect(error.detail).toEqual({ code: "23514", schema: "shop", table: "items", column: "name", constraint: "short" });
  expect(error.cause).toBeUndefined();
  expect(`${error.message}${error.stack}${JSON.stringify(error)}`).not.toContain("planted");
});

test("what is neither an answer nor trouble of the connection is a bug of ours", () => {
  expect(targetError(new TypeError("a planted value is not iterable"))).toMatchObject({ code: "internal.bug" });
});
