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

test("a lint rule is off in one place only where tests and configuration need it", () => {
  const config = JSON.parse(readText(".oxlintrc.json")) as {
    overrides: readonly { files: readonly string[]; rules: Readonly<Record<string, unknown>> }[];
  };
  const places = config.overrides
    .filter(({ rules }) => Object.values(rules).includes("off"))
    .flatMap(({ files }) => files);
  const inProduction = places.filter((place) => !/\.test\.ts$|\.config\.ts$|^libs\/testkit\/|^tests\//.test(place));
  expect(inProduction).toEqual([]);
});
