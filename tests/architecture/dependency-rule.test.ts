import { describe, expect, test } from "vitest";
import { isTest, packageOf, readText, sourcesBelow, targetOf, workspaces } from "./source-tree.ts";
import type { Manifest, Workspace } from "./source-tree.ts";

const all = workspaces();
const ours = new Map(all.map((workspace) => [workspace.manifest.name, workspace]));

const databases = ["postgres", "mysql", "elasticsearch", "oracle", "sqlite"].map((name) => `libs/${name}`);
const wiring = ["services/connectors", "services/standalone", "services/control-plane"];
const runtimes = ["libs/capture", "libs/delivery", "libs/verify"];

/** The row of a folder: it may import from lower rows only. Testkit stands outside: it may import everything. */
function row(folder: string): number {
  if (folder === "libs/core") return 0;
  if (["libs/avro", "libs/control", "libs/runtime"].includes(folder)) return 1;
  if (runtimes.includes(folder) || databases.includes(folder) || folder.startsWith("libs/event-log-")) return 2;
  if (folder.startsWith("services/")) return 3;
  throw new Error(`${folder} has no row: give it one here, and in the docs`);
}

function mayImport(from: string, to: string, isMain: boolean): boolean {
  if (to === "libs/testkit") return false;
  if (from.startsWith("services/") && !wiring.includes(from) && !isMain) {
    // A connector knows its database, not who runs it, and no other connector.
    return row(to) < 2 || databases.includes(to);
  }
  if (from.startsWith("services/")) return true;
  return row(to) < row(from);
}

function declared({ manifest }: Workspace): readonly string[] {
  return Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies });
}

function usedBy(files: Workspace["files"]): ReadonlySet<string> {
  return new Set(files.flatMap((file) => file.imports.flatMap((imported) => packageOf(imported) ?? [])));
}

const governed = all.filter(({ folder }) => folder !== "libs/testkit");

test.for(governed)("$folder imports only from the rows below it", (workspace) => {
  const wrong = workspace.production.flatMap((file) =>
    file.imports.flatMap((imported) => {
      const target = ours.get(packageOf(imported) ?? "");
      const fine = target === undefined || mayImport(workspace.folder, target.folder, file.path.endsWith("/main.ts"));
      return fine ? [] : [`${file.path} imports ${imported}`];
    }),
  );
  expect(wrong).toEqual([]);
});

test.for(all)("$folder reaches other workspaces by their package, never by a path", ({ folder, files }) => {
  const wrong = files.flatMap((file) =>
    file.imports
      .filter((imported) => imported.startsWith("."))
      .map((imported) => targetOf(file, imported))
      .filter((target) => !target.startsWith(`${folder}/`))
      .map((target) => `${file.path} imports ${target}`),
  );
  expect(wrong).toEqual([]);
});

describe("package.json", () => {
  test.for(all)("of $folder declares what production code imports", (workspace) => {
    const undeclared = [...usedBy(workspace.production)].filter(
      (name) => !declared(workspace).includes(name) && name !== workspace.manifest.name,
    );
    expect(undeclared).toEqual([]);
  });

  test.for(all)("of $folder declares, at least for development, what its tests import", (workspace) => {
    const known = [...declared(workspace), ...Object.keys(workspace.manifest.devDependencies ?? {})];
    // At the root for everybody.
    const shared = ["vitest", "fast-check", workspace.manifest.name];
    const undeclared = [...usedBy(workspace.files)].filter((name) => !known.includes(name) && !shared.includes(name));
    expect(undeclared).toEqual([]);
  });

  test.for(all)("of $folder declares nothing that nobody imports", ({ manifest, files, production }) => {
    const forDevelopment = Object.keys(manifest.devDependencies ?? {})
      .filter((name) => !name.startsWith("@types/"))
      .filter((name) => !usedBy(files).has(name));
    const forProduction = Object.keys(manifest.dependencies ?? {}).filter((name) => !usedBy(production).has(name));
    expect([...forProduction, ...forDevelopment]).toEqual([]);
  });
});

test("core imports nothing: no package, no I/O", () => {
  const core = all.find(({ folder }) => folder === "libs/core");
  expect(core?.manifest.dependencies ?? {}).toEqual({});
  const imports = core?.production.flatMap((file) =>
    file.imports.filter((imported) => !imported.startsWith("./") && imported !== "node:buffer"),
  );
  expect(imports).toEqual([]);
});

test("what only tests use is not exported from a production package", () => {
  const wrong = governed.flatMap(({ production }) =>
    production.filter((file) => isTest(file) || usedBy([file]).has("vitest") || usedBy([file]).has("fast-check")),
  );
  expect(wrong.map((file) => file.path)).toEqual([]);
});

test("the root's package.json declares what the tests at the root import", () => {
  const manifest = JSON.parse(readText("package.json")) as Manifest;
  const used = [...usedBy(sourcesBelow("tests"))].filter((name) => !ours.has(name));
  expect(used.filter((name) => manifest.devDependencies?.[name] === undefined)).toEqual([]);
});

test("tests at the root import workspaces by their packages", () => {
  const wrong = sourcesBelow("tests").flatMap((file) =>
    file.imports
      .filter((imported) => imported.startsWith("."))
      .map((imported) => targetOf(file, imported))
      .filter((target) => !target.startsWith("tests/"))
      .map((target) => `${file.path} imports ${target}`),
  );
  expect(wrong).toEqual([]);
});
