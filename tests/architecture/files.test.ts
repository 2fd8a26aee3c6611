import { statSync } from "node:fs";
import { basename } from "node:path";
import { expect, test } from "vitest";
import { isTest, readText, repositoryFiles, sourcesBelow, trackedFiles } from "./source-tree.ts";

const files = repositoryFiles();
const sources = ["libs", "services", "tests"].flatMap((folder) => sourcesBelow(folder));
const texts = files.filter(
  (path) => /\.(?:ts|mjs|json|md|ya?ml|sh|toml|py|java|sql)$/.test(path) || path === ".ci/run",
);

/** Files that may pass 300 lines, and why each holds one noun all the same. */
const longFiles: Readonly<Record<string, string>> = {
  "libs/core/src/errors.ts": "one table, an entry of six lines per code",
};

test("no source file passes 300 lines without a reason", () => {
  const long = sources
    .filter((file) => !isTest(file) && file.text.split("\n").length - 1 > 300)
    .map(({ path }) => path)
    .filter((path) => longFiles[path] === undefined);
  expect(long).toEqual([]);
});

test("the list of long files names only files that are long", () => {
  const stale = Object.keys(longFiles).filter(
    (path) => !sources.some((file) => file.path === path && file.text.split("\n").length - 1 > 300),
  );
  expect(stale).toEqual([]);
});

test("a file is named for its noun, in kebab case", () => {
  const wrong = sources.filter(({ path }) => {
    const name = basename(path).replace(/(?:\.(?:postgres|kafka|python|java|registry|long))*(?:\.test)?\.ts$/, "");
    return !/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name) || /^(?:utils?|helpers?|common|types|misc)$/.test(name);
  });
  expect(wrong.map(({ path }) => path)).toEqual([]);
});

test("only a package's src/index.ts gathers exports of other files", () => {
  const wrong = sources
    .filter(({ path }) => !/^(?:libs|services)\/[\w-]+\/src\/(?:index|suites)\.ts$/.test(path))
    .filter(({ text }) => /^export (?:\*|\{[^}]*\}) from "/m.test(text));
  expect(wrong.map(({ path }) => path)).toEqual([]);
});

test("no tracked file is larger than 1 MB", () => {
  expect(trackedFiles().filter((path) => statSync(path).size > 1_000_000)).toEqual([]);
});

test("no file names a path of somebody's machine", () => {
  // Put together here, so that this file does not hold what it looks for.
  const places = ["home", "root", "Users", "work"].map((name) => `(?<![\\w.$}*-])/${name}/(?!me\\b)\\w`);
  const wrong = texts.filter((path) => new RegExp(places.join("|")).test(readText(path)));
  expect(wrong).toEqual([]);
});

/** Hosts that may be named: this machine, examples, and public documents that the text or a standard refers to. */
const knownHosts =
  /^(?:127\.0\.0\.1|localhost|\[::1\]|[\w.-]*\.example(?:\.com|\.org)?|(?:www\.)?example\.(?:com|org)|json-schema\.org|www\.w3\.org|www\.apache\.org|www\.postgresql\.org|sqlite\.org|(?:www\.)?sqlite\.org|debezium\.io|avro\.apache\.org|kafka\.apache\.org|nodejs\.org|github\.com|img\.shields\.io)$/;

test("no file names a host other than this machine, examples and public documents", () => {
  const wrong = texts
    .filter((path) => path !== "package-lock.json")
    .flatMap((path) =>
      [...readText(path).matchAll(/\b(?:https?|wss?):\/\/([^\s/"'`<>)\]:$]+)/g)]
        .flatMap(([, host = ""]) => host.split("@").at(-1) ?? [])
        .filter((host) => host !== "" && !knownHosts.test(host))
        .map((host) => `${path}: ${host}`),
    );
  expect(wrong).toEqual([]);
});

test("package-lock.json names no registry", () => {
  expect(readText("package-lock.json")).not.toMatch(/"resolved": "https?:/);
});

test("no comment switches a check off", () => {
  const escapes = [
    ["oxlint", "disable"],
    ["eslint", "disable"],
    ["@ts", "ignore"],
    ["@ts", "nocheck"],
    ["@ts", "expect-error"],
    ["oxfmt", "ignore"],
    ["knip", "ignore"],
    ["prettier", "ignore"],
  ].map((parts) => parts.join("-"));
  const ignored = ["v8", "istanbul", "c8"].map((tool) => [tool, "ignore"].join(" "));
  const pattern = new RegExp([...escapes, ...ignored].join("|"));
  const wrong = sources.filter(({ text }) => pattern.test(text));
  expect(wrong.map(({ path }) => path)).toEqual([]);
});

test("no test is skipped, focused, or left for later", () => {
  const wrong = sources.filter(({ text }) =>
    /\b(?:test|it|describe|suite|bench)\.(?:skip|only|todo|fails|skipIf|runIf)\b/.test(text),
  );
  expect(wrong.map(({ path }) => path)).toEqual([]);
});
