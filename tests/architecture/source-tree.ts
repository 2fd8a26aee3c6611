import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";

const root = join(import.meta.dirname, "..", "..");

/** A TypeScript file of the repository. */
export interface SourceFile {
  /** From the root, with slashes. */
  readonly path: string;
  readonly text: string;
  /** What it imports or exports from, as written. */
  readonly imports: readonly string[];
  /** Files that it names in order to run them, as a worker or a program, as written. */
  readonly programs: readonly string[];
}

export interface Manifest {
  readonly name: string;
  readonly exports?: string | Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export interface Workspace {
  /** `libs/core`, `services/standalone`. */
  readonly folder: string;
  readonly manifest: Manifest;
  readonly files: readonly SourceFile[];
  /** The files that run in production: what the package's exports and its `main.ts` reach. The rest is for tests and the demo. */
  readonly production: readonly SourceFile[];
}

function listFiles(...which: readonly string[]): readonly string[] {
  const listed = execFileSync("git", ["ls-files", "-z", ...which], { cwd: root, encoding: "utf8" });
  return listed.split("\0").filter((path) => path !== "" && existsSync(join(root, path)));
}

/** Every file that is tracked, or new and not ignored. Paths from the root. */
export function repositoryFiles(): readonly string[] {
  return listFiles("--cached", "--others", "--exclude-standard");
}

export function trackedFiles(): readonly string[] {
  return listFiles("--cached");
}

export function readText(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

export function fileExists(path: string): boolean {
  return existsSync(join(root, path));
}

/** The text without comments; strings that hold `//` are cut, which no import is. */
export function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|\s)\/\/.*$/gm, "$1");
}

function found(code: string, pattern: RegExp): readonly string[] {
  return [...code.matchAll(pattern)].map(([, name = ""]) => name);
}

function parse(path: string, text: string): SourceFile {
  const code = withoutComments(text);
  return {
    path,
    text,
    imports: [
      ...found(code, /(?:^|[\s};])(?:from|import)\s*\(?\s*"([\w@./:-]+)"/g),
      ...found(code, /import\.meta\.resolve\(\s*"([\w@][\w@./:-]*)"/g),
    ],
    programs: [
      ...found(code, /new URL\(\s*"([\w./-]+\.ts)", import\.meta\.url/g),
      ...found(code, /import\.meta\.resolve\(\s*"(\.[\w./-]+)"/g),
    ],
  };
}

/** All TypeScript below a folder. */
export function sourcesBelow(folder: string): readonly SourceFile[] {
  if (!fileExists(folder)) return [];
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.split("/").includes("node_modules"))
    .map((name) => {
      const path = `${folder}/${name}`;
      return parse(path, readText(path));
    })
    .toSorted((a, b) => a.path.localeCompare(b.path));
}

/** Whether a file holds tests, or stands beside them in a folder of tests. */
export function isTest({ path }: SourceFile): boolean {
  return path.endsWith(".test.ts");
}

function entriesOf(folder: string, { exports = {} }: Manifest): readonly string[] {
  const exported = typeof exports === "string" ? [exports] : Object.values(exports);
  return [...exported.map((path) => normalize(join(folder, path))), `${folder}/src/main.ts`];
}

function reachable(entries: readonly string[], files: readonly SourceFile[]): readonly SourceFile[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const reached = new Set<SourceFile>();
  const open = entries.flatMap((path) => byPath.get(path) ?? []);
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (reached.has(file)) continue;
    reached.add(file);
    for (const name of [...file.imports.filter((imported) => imported.startsWith(".")), ...file.programs]) {
      const next = byPath.get(normalize(join(dirname(file.path), name)));
      if (next !== undefined) open.push(next);
    }
  }
  return files.filter((file) => reached.has(file));
}

/** Every workspace, read afresh. */
export function workspaces(): readonly Workspace[] {
  return ["libs", "services"].flatMap((kind) =>
    readdirSync(join(root, kind))
      .map((name) => `${kind}/${name}`)
      .filter((folder) => fileExists(`${folder}/package.json`))
      .map((folder) => {
        const manifest = JSON.parse(readText(`${folder}/package.json`)) as Manifest;
        const files = sourcesBelow(folder);
        return { folder, manifest, files, production: reachable(entriesOf(folder, manifest), files) };
      }),
  );
}

/** The package that an import names: `@scope/name` or `name`; undefined for a file and for a module of Node's own. */
export function packageOf(imported: string): string | undefined {
  if (imported.startsWith(".") || imported.startsWith("/") || imported.startsWith("node:")) return undefined;
  const [first = "", second = ""] = imported.split("/");
  return first.startsWith("@") ? `${first}/${second}` : first;
}

/** Where a relative import leads, from the root. */
export function targetOf(file: SourceFile, imported: string): string {
  return relative(root, join(root, dirname(file.path), imported));
}
