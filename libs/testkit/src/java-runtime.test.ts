import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { findJava, findJavaCompiler, mavenFound } from "./java-runtime.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

/** An installation as far as its version is read. */
function install(folder: string, version: string): string {
  mkdirSync(join(folder, "bin"), { recursive: true });
  writeFileSync(join(folder, "bin", "java"), "#!/bin/sh\n");
  chmodSync(join(folder, "bin", "java"), 0o755);
  writeFileSync(join(folder, "release"), `IMPLEMENTOR="x"\nJAVA_VERSION="${version}"\nOS_NAME="Linux"\n`);
  return join(folder, "bin", "java");
}

// Far beyond what may be installed on the machine that runs this.
const future = 900;

test("the first Java that is new enough is found: JAVA_HOME, then the path, through links", async () => {
  await using folder = await temporaryDirectory("java");
  const given = install(join(folder.path, "given"), "901.0.2");
  const linked = install(join(folder.path, "linked"), "902");
  mkdirSync(join(folder.path, "path"));
  symlinkSync(linked, join(folder.path, "path", "java"));
  vi.stubEnv("JAVA_HOME", join(folder.path, "given"));
  vi.stubEnv("PATH", join(folder.path, "path"));
  expect(findJava(future)).toEqual({ program: given, major: 901 });
  expect(findJava(902)).toEqual({ program: linked, major: 902 });
  expect(findJava(903)).toBeUndefined();
  expect(findJavaCompiler(future)).toBeUndefined();
  writeFileSync(join(folder.path, "linked", "bin", "javac"), "");
  expect(findJavaCompiler(future)).toEqual({ program: linked, major: 902 });
});

test("a folder without a program or without a version is no Java", async () => {
  await using folder = await temporaryDirectory("java");
  install(folder.path, "not a number");
  vi.stubEnv("JAVA_HOME", folder.path);
  vi.stubEnv("PATH", join(folder.path, "nothing"));
  expect(findJava(future)).toBeUndefined();
  expect(mavenFound()).toBe(false);
  writeFileSync(join(folder.path, "bin", "mvn"), "");
  vi.stubEnv("PATH", join(folder.path, "bin"));
  expect(mavenFound()).toBe(true);
});
