import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, readdir, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { cacheDirectory } from "./cache-directory.ts";
import { makeOnce } from "./cached-folder.ts";
import { findJava, mavenFound } from "./java-runtime.ts";
import { runCommand } from "./run-command.ts";

/** The version that is tested against. */
export const kafkaVersion = "4.3.1";
const log4jVersion = "2.25.4";
/** A fixed id: throwaway clusters never meet. 22 characters, as base64url of a UUID. */
export const clusterId = "ZGF0YXRyYWNlLXRlc3RzLQ";

/** A Kafka that can be run. */
export interface KafkaInstallation {
  readonly java: string;
  readonly classPath: string;
  readonly logSettings: string;
}

function home(): string {
  return join(cacheDirectory(), `kafka-${kafkaVersion}`);
}

/** Brokers and tools of 4.x are compiled for it. */
const oldestJava = 17;

/** Whether Kafka is in the cache, or can be brought there by Maven. */
export function kafkaFound(): boolean {
  return findJava(oldestJava) !== undefined && (existsSync(join(home(), "programs")) || mavenFound());
}

// The published pom leaves log4j out: without it a broker says nothing about why it does not start.
const pom = `<project><modelVersion>4.0.0</modelVersion>
<groupId>datatrace.test</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${kafkaVersion}</version></dependency>
${["log4j-core", "log4j-1.2-api", "log4j-slf4j-impl"]
  .map(
    (name) =>
      `<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>${name}</artifactId><version>${log4jVersion}</version></dependency>`,
  )
  .join("\n")}
</dependencies></project>`;

const log4j = `<Configuration status="WARN"><Appenders><Console name="c"><PatternLayout pattern="%d %p %c{1} %m%n"/></Console></Appenders>
<Loggers><Root level="INFO"><AppenderRef ref="c"/></Root></Loggers></Configuration>`;

async function download(folder: string): Promise<void> {
  await writeFile(join(folder, "pom.xml"), pom);
  await writeFile(join(folder, "log4j2.xml"), log4j);
  const goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
  await runCommand("mvn", [
    "-q",
    "-B",
    "-f",
    join(folder, "pom.xml"),
    goal,
    "-DincludeScope=runtime",
    `-DoutputDirectory=${join(folder, "lib")}`,
  ]);
  // For servers that run as another user.
  await chmod(folder, 0o755);
}

/** Fetches Kafka with its libraries into the cache, once per version; later calls find it there. Safe between processes. */
export async function installKafka(): Promise<KafkaInstallation> {
  const java = findJava(oldestJava);
  if (java === undefined) throw new Error(`Java ${oldestJava} or newer is not installed`);
  const programs = join(home(), "programs");
  await makeOnce(programs, download);
  return {
    java: java.program,
    classPath: (await readdir(join(programs, "lib")))
      .toSorted()
      .map((jar) => join(programs, "lib", jar))
      .join(delimiter),
    logSettings: join(programs, "log4j2.xml"),
  };
}

/**
 * A formatted storage folder of a broker, to copy from; never started. `scram` are credentials in the form that
 * `kafka-storage format --add-scram` takes.
 */
export async function formatKafka(
  installation: KafkaInstallation,
  nodeId: number,
  voters: number,
  scram: readonly string[],
): Promise<string> {
  const key = createHash("sha256")
    .update(JSON.stringify([nodeId, voters, scram]))
    .digest("hex")
    .slice(0, 12);
  const target = join(home(), `format-${nodeId}-${key}`);
  await makeOnce(target, async (folder) => {
    const settings = {
      "process.roles": "broker,controller",
      "node.id": nodeId,
      // Ports are not part of what is formatted.
      "controller.quorum.voters": Array.from({ length: voters }, (_, index) => `${index + 1}@127.0.0.1:1`).join(","),
      listeners: "PLAINTEXT://127.0.0.1:2,CONTROLLER://127.0.0.1:1",
      "controller.listener.names": "CONTROLLER",
      "log.dirs": join(folder, "data"),
    };
    const file = join(folder, "format.properties");
    await writeFile(
      file,
      Object.entries(settings)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(""),
    );
    await runCommand(installation.java, [
      "-Xmx128m",
      "-XX:+UseSerialGC",
      "-XX:TieredStopAtLevel=1",
      "-cp",
      installation.classPath,
      "kafka.tools.StorageTool",
      "format",
      "-t",
      clusterId,
      "-c",
      file,
      ...scram.flatMap((credential) => ["--add-scram", credential]),
    ]);
    await chmod(folder, 0o755);
  });
  return join(target, "data");
}
