import { describe, expect, test } from "vitest";
import { parseCommandLine } from "./command-line.ts";
import { helpText } from "./help-text.ts";
import { nodeVersionProblem } from "./node-version.ts";

describe("a command line", () => {
  test("with everything", () => {
    const args = ["run", "p.yaml", "--until-caught-up", "--only", "sink", "--json", "--port=0", "--log-level", "debug"];
    expect(parseCommandLine(args, {})).toEqual({
      command: "run",
      file: "p.yaml",
      table: "",
      json: true,
      yes: false,
      untilCaughtUp: true,
      only: "sink",
      last: null,
      follow: false,
      delivery: null,
      port: 0,
      host: "127.0.0.1",
      logLevel: "debug",
    });
  });

  test("with a table, and how much of it", () => {
    expect(parseCommandLine(["tail", "p.yaml", "public.orders", "--last", "3", "--follow"], {})).toMatchObject({
      command: "tail",
      file: "p.yaml",
      table: "public.orders",
      last: 3,
      follow: true,
    });
  });

  test("takes from the environment what is not given", () => {
    const environment = { DATATRACE_PORT: "9000", DATATRACE_LOG_LEVEL: "warn", DATATRACE_HOST: "" };
    expect(parseCommandLine(["run", "p", "--port", "1"], environment)).toMatchObject({
      port: 1,
      logLevel: "warn",
      host: "127.0.0.1",
    });
    expect(parseCommandLine(["run", "p"], environment)).toMatchObject({ port: 9000 });
    expect(parseCommandLine(["run", "p"], {})).toMatchObject({ port: null, logLevel: null, only: null });
  });

  test.each([[["help"]], [["--help"]], [["-h"]], [["run", "--help"]], [["help", "run"]]])("%j is help", (args) => {
    expect(parseCommandLine(args, {}).command).toBe("help");
  });

  test("version", () => {
    expect(parseCommandLine(["--version"], {}).command).toBe("version");
  });

  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /No command/],
    [["rnu", "p"], /no command `rnu`; did you mean `run`\?/],
    [["launch", "p"], /no command `launch`\./],
    [["run"], /needs a pipeline file/],
    [["run", "a", "b"], /one file/],
    [["schema", "a"], /no file/],
    [["tail", "p"], /needs a table/],
    [["tail", "p", "t", "u"], /one file and one table/],
    [["tail", "p", "t", "--last", "0"], /from 1/],
    [["run", "p", "--follow"], /`run` has no option/],
    [["run", "p", "--jsno"], /no option `--jsno`; did you mean `--json`\?/],
    [["check", "p", "--until-caught-up"], /`check` has no option/],
    [["run", "p", "--only"], /needs a value/],
    [["run", "p", "--only", "--json"], /needs a value/],
    [["run", "p", "--only", "snik"], /did you mean `sink`\?/],
    [["run", "p", "--json=1"], /takes no value/],
    [["run", "p", "--port", "70000"], /0 to 65535/],
    [["run", "p", "--log-level", "loud"], /error, warn, info, debug/],
  ];
  test.each(wrong)("%j is refused", (args, message) => {
    expect(() => parseCommandLine(args, {})).toThrow(expect.objectContaining({ code: "config.usage" }));
    expect(() => parseCommandLine(args, {})).toThrow(message);
  });
});

test("help names every command, option and variable", () => {
  const text = helpText();
  for (const name of ["run FILE", "check FILE", "status FILE", "decommission FILE", "schema", "--until-caught-up"]) {
    expect(text).toContain(name);
  }
  expect(text).toContain("DATATRACE_LOG_LEVEL");
  expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(120);
});

test("another version of Node is refused with code and fix", () => {
  expect(nodeVersionProblem("24.0.0", false)).toBeNull();
  expect(nodeVersionProblem("25.1.0", false)).toBeNull();
  expect(nodeVersionProblem("20.20.2", false)).toMatch(
    /^error config\.node_version: .*20\.20\.2.*\n {2}fix: .*npm start/,
  );
  expect(JSON.parse(nodeVersionProblem("22.18.0", true) ?? "")).toMatchObject({ code: "config.node_version" });
});
