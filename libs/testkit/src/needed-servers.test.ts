import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { findMissingServers } from "./needed-servers.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

/** A path on which only this `python3` is found, beside a Java and a Maven that are there by name. */
async function pathWith(python: string | undefined) {
  const folder = await temporaryDirectory("path");
  if (python !== undefined) {
    writeFileSync(join(folder.path, "python3"), `#!/bin/sh\n${python}\n`);
    chmodSync(join(folder.path, "python3"), 0o755);
  }
  symlinkSync("/bin/sh", join(folder.path, "sh"));
  writeFileSync(join(folder.path, "release"), 'JAVA_VERSION="17.0.1"\n');
  mkdirSync(join(folder.path, "bin"));
  for (const program of ["bin/java", "bin/javac", "mvn"]) writeFileSync(join(folder.path, program), "");
  vi.stubEnv("JAVA_HOME", folder.path);
  return folder;
}

test("nothing is missing where Python has its venv module, and PostgreSQL, Kafka and a registry are given", async () => {
  await using folder = await pathWith("exit 0");
  vi.stubEnv("PATH", folder.path);
  vi.stubEnv("KAFKA_BROKERS", "127.0.0.1:1");
  vi.stubEnv("SCHEMA_REGISTRY_URL", "http://127.0.0.1:1");
  vi.stubEnv("POSTGRES_14_URL", "postgresql://127.0.0.1:1/x");
  vi.stubEnv("POSTGRES_18_URL", "postgresql://127.0.0.1:1/x");
  expect(await findMissingServers()).toEqual([]);
});

test.for([
  { name: "absent", python: undefined },
  { name: "without venv", python: "exit 1" },
])("Python $name is named, with what to do, and is an error where it is required", async ({ python }) => {
  await using folder = await pathWith(python);
  vi.stubEnv("PATH", folder.path);
  vi.stubEnv("KAFKA_BROKERS", "127.0.0.1:1");
  vi.stubEnv("SCHEMA_REGISTRY_URL", "http://127.0.0.1:1");
  vi.stubEnv("POSTGRES_14_URL", "postgresql://127.0.0.1:1/x");
  vi.stubEnv("POSTGRES_18_URL", "postgresql://127.0.0.1:1/x");
  vi.stubEnv("REQUIRE_SERVERS", "postgres");
  const notice = "python is missing: install Python 3 with its venv module";
  expect(await findMissingServers()).toEqual([{ server: "python", entirely: true, notice }]);
  vi.stubEnv("REQUIRE_SERVERS", "postgres, python");
  await expect(findMissingServers()).rejects.toThrow(`REQUIRE_SERVERS asks for python. ${notice}`);
});

test("Kafka is missing without Maven and a container runtime, and is an error where it is required", async () => {
  await using folder = await pathWith("exit 0");
  vi.stubEnv("PATH", folder.path);
  rmSync(join(folder.path, "mvn"));
  vi.stubEnv("DATATRACE_CACHE_DIR", folder.path);
  vi.stubEnv("KAFKA_BROKERS", "");
  vi.stubEnv("SCHEMA_REGISTRY_URL", "http://127.0.0.1:1");
  vi.stubEnv("POSTGRES_14_URL", "postgresql://127.0.0.1:1/x");
  vi.stubEnv("POSTGRES_18_URL", "postgresql://127.0.0.1:1/x");
  const notice =
    "Kafka is missing: set KAFKA_BROKERS, install Java 17 or newer and Maven, or start a container runtime";
  vi.stubEnv("REQUIRE_SERVERS", "postgres");
  const missing = await findMissingServers();
  expect(missing.filter(({ server }) => server === "kafka")).toEqual([{ server: "kafka", entirely: true, notice }]);
  vi.stubEnv("REQUIRE_SERVERS", "kafka");
  await expect(findMissingServers()).rejects.toThrow(`REQUIRE_SERVERS asks for kafka. ${notice}`);
});

test("Java is missing without Maven, and is an error where it is required", async () => {
  await using folder = await pathWith("exit 0");
  vi.stubEnv("PATH", folder.path);
  vi.stubEnv("REQUIRE_SERVERS", "postgres");
  vi.stubEnv("KAFKA_BROKERS", "127.0.0.1:1");
  vi.stubEnv("SCHEMA_REGISTRY_URL", "http://127.0.0.1:1");
  vi.stubEnv("POSTGRES_14_URL", "postgresql://127.0.0.1:1/x");
  vi.stubEnv("POSTGRES_18_URL", "postgresql://127.0.0.1:1/x");
  expect(await findMissingServers()).toEqual([]);
  rmSync(join(folder.path, "mvn"));
  const notice = "Java with a compiler is missing: install a JDK 17 or newer, and Maven";
  expect(await findMissingServers()).toEqual([{ server: "java", entirely: true, notice }]);
  vi.stubEnv("REQUIRE_SERVERS", "java");
  await expect(findMissingServers()).rejects.toThrow(`REQUIRE_SERVERS asks for java. ${notice}`);
});
