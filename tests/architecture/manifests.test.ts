import { expect, test } from "vitest";
import { readText, workspaces } from "./source-tree.ts";
import type { Manifest } from "./source-tree.ts";

interface RootManifest extends Manifest {
  readonly allowScripts: Readonly<Record<string, boolean>>;
  readonly scripts: Readonly<Record<string, string>>;
}

const rootManifest = JSON.parse(readText("package.json")) as RootManifest;
const manifests = [rootManifest, ...workspaces().map(({ manifest }) => manifest)];

test.for(manifests)("$name pins every version exactly", (manifest) => {
  const all = Object.entries({
    ...manifest.dependencies,
    ...manifest.devDependencies,
    ...manifest.optionalDependencies,
  });
  const loose = all.filter(([name, version]) =>
    name.startsWith("@datatrace/")
      ? version !== "*"
      : !/^(?:npm:(?:@[\w.-]+\/)?[\w.-]+@)?\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version),
  );
  expect(loose).toEqual([]);
});

test("only Node's own package may run a script while it is installed", () => {
  const allowed = Object.entries(rootManifest.allowScripts).flatMap(([name, may]) => (may ? [name] : []));
  expect(allowed).toEqual(["node"]);
});

test("every verb goes through the set-up", () => {
  expect(Object.keys(rootManifest.scripts)).toEqual([
    "demo",
    "start",
    "check",
    "test",
    "chaos",
    "guards",
    "bench",
    "fix",
  ]);
  const direct = Object.values(rootManifest.scripts).filter(
    (script) => !/^node deploy\/with-node\.mjs [\w./-]+\.ts$/.test(script),
  );
  expect(direct).toEqual([]);
});

test("no lint rule is an error in one place and off in another without being named here", () => {
  const config = JSON.parse(readText(".oxlintrc.json")) as {
    overrides: readonly { files: readonly string[]; rules: Readonly<Record<string, string>> }[];
  };
  const exceptions = config.overrides.flatMap(({ files, rules }) =>
    Object.entries(rules).flatMap(([rule, level]) => (level === "off" ? [`${rule} in ${files.join(", ")}`] : [])),
  );
  expect(exceptions).toEqual([
    "import/no-default-export in **/*.config.ts",
    "typescript/no-non-null-assertion in **/*.test.ts",
  ]);
});
