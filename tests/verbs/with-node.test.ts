import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory, waitFor } from "@datatrace/testkit";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");
const launcher = join(root, "deploy", "with-node.mjs");

const pinned = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { devDependencies: { node: string } };

/** Code that is run before the launcher: it makes this Node look like another one. */
function pretend(code: string): readonly string[] {
  return ["--import", `data:text/javascript,${encodeURIComponent(code)}`];
}

// What the launcher meets when it is run by a Node that cannot replace its own process.
const withoutExecve = pretend("process.execve = undefined");

function run(args: readonly string[], options: { readonly file?: string; readonly path?: string } = {}) {
  const { file = launcher, path = process.env["PATH"] ?? "" } = options;
  const flags = args.slice(0, args.indexOf("--"));
  const rest = args.slice(args.indexOf("--") + 1);
  const { npm_execpath: _npm, ...env } = process.env;
  return spawnSync(process.execPath, [...flags, file, ...rest], { encoding: "utf8", env: { ...env, PATH: path } });
}

async function programFolder(program: string) {
  const folder = await temporaryDirectory("program");
  const file = join(folder.path, "program.ts");
  writeFileSync(file, program);
  return { file, path: folder.path, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

test.for([
  { way: "replacing itself", flags: [] },
  { way: "as a parent", flags: withoutExecve },
])("runs TypeScript by the pinned Node, $way, with arguments and exit code", async ({ flags }) => {
  await using program = await programFolder(
    `const args: readonly string[] = process.argv.slice(2);
     console.log(JSON.stringify({ args, node: process.versions.node, path: process.env["PATH"]?.split(":")[0] }));
     process.exitCode = 7;`,
  );
  const { status, stdout, stderr } = run([...flags, "--", program.file, "a b", "--c"]);
  expect(stderr).toBe("");
  expect(JSON.parse(stdout)).toEqual({
    args: ["a b", "--c"],
    node: pinned.devDependencies.node,
    path: join(root, "node_modules", ".bin"),
  });
  expect(status).toBe(7);
});

test.for([
  { way: "replacing itself", flags: [] },
  { way: "as a parent", flags: withoutExecve },
])("hands signals on, $way, and ends as the program ends", async ({ flags }) => {
  await using program = await programFolder(
    `process.on("SIGTERM", () => { console.log("term"); process.removeAllListeners("SIGINT"); console.log("ready"); });
     process.on("SIGINT", () => { console.log("int"); });
     setInterval(() => {}, 1000);
     console.log("ready");`,
  );
  const child = spawn(process.execPath, [...flags, launcher, program.file], { stdio: ["ignore", "pipe", "inherit"] });
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (data: string) => {
    printed += data;
  });
  const ended = new Promise((resolve) => {
    child.once("exit", (code, signal) => {
      resolve(signal ?? code);
    });
  });
  const says = async (text: string): Promise<true> =>
    waitFor(() => printed === text, { deadlineMs: 10_000, what: `the program to say ${text}` });
  await says("ready\n");
  child.kill("SIGINT");
  await says("ready\nint\n");
  child.kill("SIGTERM");
  await says("ready\nint\nterm\nready\n");
  child.kill("SIGINT");
  expect(await ended).toBe("SIGINT");
});

test("refuses a Node that is too old, and says what to do", () => {
  const old = pretend('Object.defineProperty(process.versions, "node", { value: "18.20.4" })');
  const { status, stderr } = run([...old, "--", "tests/verbs/check.ts"]);
  expect(stderr).toContain("Node 18.20.4 is too old. Install Node 20 or newer");
  expect(status).toBe(2);
});

test("says how it is used", () => {
  const { status, stderr } = run(["--"]);
  expect(stderr).toContain("usage: node deploy/with-node.mjs <file>");
  expect(status).toBe(2);
});

/** A repository that has not been set up, with an `npm` of ours on the path. */
async function freshRepository(npm: string | undefined) {
  const folder = await temporaryDirectory("fresh");
  const path = (...parts: readonly string[]): string => join(folder.path, ...parts);
  mkdirSync(path("deploy"));
  mkdirSync(path("bin"));
  copyFileSync(launcher, path("deploy", "with-node.mjs"));
  writeFileSync(path("package-lock.json"), '{"packages":{"":{}}}');
  writeFileSync(path("program.mjs"), 'console.log("ran");');
  if (npm !== undefined) writeFileSync(path("bin", "npm"), `#!/bin/sh\n${npm}\n`, { mode: 0o755 });
  return {
    path,
    start: () =>
      run(["--", "program.mjs"], { file: path("deploy", "with-node.mjs"), path: `${path("bin")}:/usr/bin:/bin` }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

const installs = `echo "$*" >>npm-calls; mkdir -p node_modules/node/bin; ln -sf ${JSON.stringify(process.execPath)} node_modules/node/bin/node`;

test("sets up once, then again when the lock has changed", async () => {
  await using repository = await freshRepository(installs);
  const first = repository.start();
  expect(first.stderr).toContain("installing the packages of package-lock.json");
  expect([first.status, first.stdout]).toEqual([0, "ran\n"]);
  expect(repository.start()).toMatchObject({ status: 0, stdout: "ran\n", stderr: "" });
  const calls = spawnSync("cat", [repository.path("npm-calls")], { encoding: "utf8" })
    .stdout.trim()
    .split("\n");
  expect(calls).toEqual([
    "ci --ignore-scripts --no-audit --no-fund",
    "rebuild node --ignore-scripts=false --foreground-scripts=false",
  ]);
  writeFileSync(
    repository.path("package-lock.json"),
    '{"packages":{"":{},"node_modules/a":{"version":"1.0.0"},"node_modules/b":{"version":"1.0.0","optional":true}}}',
  );
  expect(repository.start().stderr).toContain("installing");
});

test("leaves a tree alone that was brought up to date by hand", async () => {
  await using repository = await freshRepository(installs);
  expect(repository.start().status).toBe(0);
  const packages = '"node_modules/a":{"version":"1.0.0"}';
  writeFileSync(repository.path("package-lock.json"), `{"packages":{"":{},${packages},"libs/x":{}}}`);
  writeFileSync(repository.path("node_modules", ".package-lock.json"), `{"packages":{${packages}}}`);
  expect(repository.start()).toMatchObject({ status: 0, stdout: "ran\n", stderr: "" });
});

test("says that npm is missing", async () => {
  await using repository = await freshRepository(undefined);
  const npmless = run(["--", "program.mjs"], {
    file: repository.path("deploy", "with-node.mjs"),
    path: repository.path("bin"),
  });
  expect(npmless.stderr).toContain("npm is missing. Install npm 10 or newer");
  expect(npmless.status).toBe(2);
});

test("shows what npm says when it fails, and starts nothing", async () => {
  await using repository = await freshRepository('echo "no such package" >&2; exit 3');
  const { status, stdout, stderr } = repository.start();
  expect(stderr).toContain("no such package\n");
  expect(stderr).toContain("`npm ci --ignore-scripts --no-audit --no-fund` failed");
  expect([status, stdout]).toEqual([1, ""]);
});

test("a service runs with a bounded heap, and what the user has set wins", () => {
  const tell = `import v8 from "node:v8"; console.error(v8.getHeapStatistics().heap_size_limit / 2 ** 20);`;
  const heapLimitMiB = (options: string): number => {
    const { stderr } = spawnSync(process.execPath, [launcher, "services/standalone/src/main.ts", "help"], {
      encoding: "utf8",
      env: { ...process.env, NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(tell)} ${options}` },
    });
    return Number(stderr.trim().split("\n").at(-1));
  };
  expect(heapLimitMiB("")).toBeCloseTo(512, -2);
  expect(heapLimitMiB("--max-old-space-size=300")).toBeCloseTo(300, -2);
});
