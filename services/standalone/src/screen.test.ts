import { Writable } from "node:stream";
import { DataTraceError } from "@datatrace/core";
import { expect, test } from "vitest";
import { openLogger } from "./open-logger.ts";
import { noticeOf, Output } from "./output.ts";
import { Screen } from "./screen.ts";

/** An output that keeps what is written, as a terminal or not. */
function stream(isTTY: boolean) {
  const chunks: string[] = [];
  const writable = new Writable({
    write(chunk, _, done) {
      chunks.push(String(chunk));
      done();
    },
  });
  return Object.assign(writable, { isTTY, columns: 20, text: () => chunks.join("") });
}

const escape = (text: string) => text.replaceAll("\u001B", "ESC");

test("a picture is drawn again in place; lines of the log go above it", () => {
  const [stdout, stderr] = [stream(true), stream(true)];
  const screen = new Screen(stdout);
  screen.draw(["snapshot 1 %", "a line that is longer than the terminal"]);
  screen.draw(["snapshot 2 %"]);
  screen.print(stderr, "something happened");
  screen[Symbol.dispose]();
  expect(escape(stdout.text())).toBe(
    "ESC[?25lsnapshot 1 %\na line that is long…\nESC[2FESC[Jsnapshot 2 %\nESC[1FESC[Jsnapshot 2 %\nESC[?25h",
  );
  expect(stderr.text()).toBe("something happened\n");
});

test("what is not a terminal gets no picture", () => {
  const stdout = stream(false);
  using screen = new Screen(stdout);
  screen.draw(["snapshot 1 %"]);
  expect(stdout.text()).toBe("");
});

test("the log is readable on a terminal, JSON elsewhere and with --json", () => {
  for (const [isTTY, json, readable] of [
    [true, false, true],
    [true, true, false],
    [false, false, false],
  ] as const) {
    const [stdout, stderr] = [stream(isTTY), stream(isTTY)];
    openLogger("info", new Output(json, { stdout, stderr })).info("run started", { pid: 1 });
    expect(/^\d\d:\d\d:\d\d info {2}run started pid=1\n$/.test(stderr.text())).toBe(readable);
    expect(stderr.text().startsWith("{")).toBe(!readable);
  }
});

test("an error: as text on the error output, as one line of JSON on the other", () => {
  const error = new DataTraceError("sink.table_exists", { detail: { table: "public.a" } });
  const plain = { stdout: stream(false), stderr: stream(false) };
  new Output(false, plain).notice({ ...noticeOf(error), at: "p.yaml:3" });
  expect(plain.stdout.text()).toBe("");
  expect(plain.stderr.text()).toMatch(
    /^error sink\.table_exists: .*\(table=public\.a\)\n {2}at p\.yaml:3\n {2}fix: .*\n$/,
  );
  const json = { stdout: stream(false), stderr: stream(false) };
  new Output(true, json).notice({ ...noticeOf(error), at: "p.yaml:3" });
  expect(json.stderr.text()).toBe("");
  expect(JSON.parse(json.stdout.text())).toEqual({
    event: "error",
    level: "error",
    code: "sink.table_exists",
    message: error.message,
    fix: error.fix,
    at: "p.yaml:3",
  });
});

test("I8: an error that is not ours shows as a bug, without its text", () => {
  expect(noticeOf(new Error("Key (email)=(planted) exists"))).toMatchObject({ code: "internal.bug" });
  expect(JSON.stringify(noticeOf(new Error("planted")))).not.toContain("planted");
});
