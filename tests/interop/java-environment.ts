import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheDirectory, findJavaCompiler, makeOnce, runCommand } from "@datatrace/testkit";

const run = promisify(execFile);
const libraries = [
  ["org.apache.kafka", "kafka-clients", "4.3.1"],
  ["org.apache.avro", "avro", "1.12.1"],
  ["com.fasterxml.jackson.core", "jackson-databind", "2.19.2"],
  ["org.slf4j", "slf4j-nop", "2.0.17"],
] as const;
const copyGoal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
const settings = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
const oldestJava = 17;

/** Compiles and runs one of the Java programs of this folder with `input`, as JSON, on its standard input; answers what it prints. */
export async function runJava(program: string, input: unknown): Promise<unknown> {
  const java = findJavaCompiler(oldestJava);
  if (java === undefined) throw new Error(`a JDK ${oldestJava} or newer is not installed`);
  const classPath = join(await installLibraries(), "*");
  const source = join(import.meta.dirname, program);
  const answer = run(java.program, [...settings, "-cp", classPath, source], { maxBuffer: 512 * 1024 * 1024 });
  answer.child.stdin?.end(JSON.stringify(input));
  return JSON.parse((await answer).stdout) as unknown;
}

/** Has Maven fetch the libraries, once, into a folder outside of the repository; answers it. */
export async function installLibraries(): Promise<string> {
  const name = ["java", ...libraries.map(([, artifact, version]) => `${artifact}-${version}`)].join("-");
  const home = join(cacheDirectory(), name);
  await makeOnce(home, async (folder) => {
    const dependencies = libraries.map(
      ([group, artifact, version]) =>
        `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
    );
    const pom = join(folder, "pom.xml");
    await writeFile(
      pom,
      `<project><modelVersion>4.0.0</modelVersion>
<groupId>datatrace.test</groupId><artifactId>interop</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>${dependencies.join("")}</dependencies></project>`,
    );
    const goal = [copyGoal, "-DincludeScope=runtime", `-DoutputDirectory=${join(folder, "lib")}`];
    await runCommand("mvn", ["-q", "-B", "-f", pom, ...goal]);
  });
  return join(home, "lib");
}
