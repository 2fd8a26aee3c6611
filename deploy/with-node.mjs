// Runs a program of this repository with its own Node, after setting up what is missing:
//   node deploy/with-node.mjs <file> [arguments…]
// Everything up to the version check must parse on any old Node, so nothing here is newer than it has to be.
import { spawn, spawnSync } from "child_process";
import { createHash } from "crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "fs";
import { delimiter, dirname, join, resolve } from "path";
import { fileURLToPath } from "url";

const oldestNode = 20;
const wrongUsage = 2;
const failed = 1;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
const pinnedNode = join(modules, "node", "bin", "node");
const stampFile = join(modules, ".datatrace-setup");
const lockFile = join(root, "package-lock.json");
const setupClaim = join(root, ".datatrace-setup.pid");

/** @param {number} code @param {string} message @returns {never} */
function stop(code, message) {
  process.stderr.write(`datatrace: ${message}\n`);
  process.exit(code);
}

/** @param {string} file */
function readOr(file, fallback = "") {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return fallback;
  }
}

/** What the installed tree has to agree with: the lock, and the machine whose binaries are in it. */
function fingerprint() {
  const lock = createHash("sha256").update(readFileSync(lockFile)).digest("hex");
  return `${lock} ${process.platform} ${process.arch}`;
}

/** Whether the tree was brought up to date by hand: npm keeps a copy of the lock in it. Optional packages may be absent. */
function installedByHand() {
  const wanted = JSON.parse(readFileSync(lockFile, "utf8")).packages;
  const present = JSON.parse(readOr(join(modules, ".package-lock.json"), "{}")).packages || {};
  return (
    spawnSync(pinnedNode, ["--version"]).status === 0 &&
    Object.keys(wanted).every((path) => {
      if (path === "" || !path.includes("node_modules/")) return true;
      const { version, link, optional, devOptional, peer } = wanted[path];
      if (present[path] === undefined) return Boolean(optional || devOptional || peer);
      return link === true || present[path].version === version;
    })
  );
}

/** @param {string} path */
function isAlive(path) {
  const pid = Number(readOr(path));
  if (!(pid > 0)) return existsSync(path);
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** One process sets up, others wait for it: `npm ci` empties the folder first. */
function claimSetup() {
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  for (let told = false; ; told = true) {
    try {
      writeFileSync(setupClaim, String(process.pid), { flag: "wx" });
      return;
    } catch (error) {
      if (error.code !== "EEXIST") stop(failed, `cannot write to ${root}: ${error.code}`);
    }
    if (!isAlive(setupClaim)) rmSync(setupClaim, { force: true });
    else if (!told) process.stderr.write("datatrace: another process is setting up; waiting for it\n");
    Atomics.wait(sleeper, 0, 0, 200);
  }
}

/** @param {string[]} args */
function npm(args) {
  const script = process.env.npm_execpath;
  const given = script !== undefined && /npm-cli\.c?js$/.test(script);
  const result = spawnSync(given ? process.execPath : "npm", given ? [script].concat(args) : args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.error !== undefined && result.error.code === "ENOENT") {
    stop(wrongUsage, "npm is missing. Install npm 10 or newer (it comes with Node) and try again.");
  }
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout || ""}${result.stderr || ""}`);
  stop(failed, `\`npm ${args.join(" ")}\` failed (see above). Check the network and the disk, then try again.`);
}

function isSetUp() {
  return existsSync(pinnedNode) && readOr(stampFile) === fingerprint();
}

function setUp() {
  claimSetup();
  try {
    if (isSetUp()) return;
    if (existsSync(pinnedNode) && installedByHand()) {
      writeFileSync(stampFile, fingerprint());
      return;
    }
    process.stderr.write("datatrace: installing the packages of package-lock.json (once, about half a minute)…\n");
    const start = Date.now();
    // Of all install scripts only the one that fetches Node is run, whatever version npm has and however it is set.
    npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    npm(["rebuild", "node", "--ignore-scripts=false", "--foreground-scripts=false"]);
    if (!existsSync(pinnedNode)) stop(failed, `npm has left no Node for ${process.platform} ${process.arch}.`);
    writeFileSync(stampFile, fingerprint());
    process.stderr.write(`datatrace: installed in ${Math.round((Date.now() - start) / 1000)} s\n`);
  } finally {
    rmSync(setupClaim, { force: true });
  }
}

/**
 * What a service runs under: V8 collects early instead of growing, and what is freed goes back to the system. What the
 * user has set himself comes later, and wins.
 */
function serviceEnvironment() {
  const ours = JSON.parse(readFileSync(join(root, "deploy", "process-environment.json"), "utf8"));
  const options = `${ours.NODE_OPTIONS} ${process.env.NODE_OPTIONS || ""}`.trim();
  return Object.assign(ours, process.env, { NODE_OPTIONS: options });
}

/** @param {string} file @param {string[]} rest */
function run(file, rest) {
  const args = [resolve(root, file)].concat(rest);
  const env = Object.assign(file.startsWith("services/") ? serviceEnvironment() : Object.assign({}, process.env), {
    PATH: [join(modules, ".bin"), process.env.PATH || ""].join(delimiter),
  });
  if (typeof process.execve === "function") {
    // This process becomes the program: signals, terminal and exit code are its own. Only a fork has a warning to print.
    process.execve(pinnedNode, [pinnedNode].concat(args), env);
  }
  const child = spawn(pinnedNode, args, { stdio: "inherit", env });
  for (const signal of ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2"]) {
    process.on(signal, () => {
      // What is typed at a terminal reaches the child without us; twice would mean "at once".
      if ((signal === "SIGINT" || signal === "SIGQUIT") && process.stdin.isTTY) return;
      child.kill(signal);
    });
  }
  child.on("error", (error) => stop(failed, `cannot start ${pinnedNode}: ${error.message}`));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code === null ? failed : code);
    // Ends as the program ended.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

const major = Number(process.versions.node.split(".")[0]);
if (major < oldestNode) {
  stop(
    wrongUsage,
    `Node ${process.versions.node} is too old. Install Node ${oldestNode} or newer and try again; the version that DataTrace itself runs on is then installed beside it.`,
  );
}
const [file, ...rest] = process.argv.slice(2);
if (file === undefined) stop(wrongUsage, "usage: node deploy/with-node.mjs <file> [arguments…]");
if (!isSetUp()) setUp();
run(file, rest);
