import { spawnSync } from "node:child_process";
import { findJavaCompiler, mavenFound } from "./java-runtime.ts";
import { kafkaAvailable } from "./test-kafka.ts";
import { availablePostgres } from "./test-postgres.ts";
import { schemaRegistryFound } from "./test-registry.ts";

/** What a test file's suffix may ask for: `*.postgres.test.ts`, `*.kafka.test.ts`, `*.registry.test.ts`, `*.python.test.ts`, `*.java.test.ts`. */
export type NeededServer = "postgres" | "kafka" | "registry" | "python" | "java";

/** What the programs of `*.java.test.ts` are compiled for. */
const oldestJava = 17;

const fixes: Readonly<Record<NeededServer, string>> = {
  postgres: "set POSTGRES_14_URL and POSTGRES_18_URL, install the optional npm packages, or start a container runtime",
  kafka: "set KAFKA_BROKERS, install Java 17 or newer and Maven, or start a container runtime",
  java: `install a JDK ${oldestJava} or newer, and Maven`,
  python: "install Python 3 with its venv module",
  registry: "set SCHEMA_REGISTRY_URL, install Java 21 or newer and Maven, or start a container runtime",
};

async function lacks(server: NeededServer): Promise<string | undefined> {
  if (server === "python") {
    const probe = spawnSync("python3", ["-c", "import venv, ensurepip"], { stdio: "ignore" });
    return probe.status === 0 ? undefined : "python";
  }
  if (server === "java") {
    return findJavaCompiler(oldestJava) !== undefined && mavenFound() ? undefined : "Java with a compiler";
  }
  if (server === "registry") return (await schemaRegistryFound()) ? undefined : "a schema registry";
  if (server === "kafka") return (await kafkaAvailable()) ? undefined : "Kafka";
  const there = await availablePostgres();
  const missing = ([14, 18] as const).filter((major) => !there.includes(major));
  return missing.length === 0 ? undefined : `PostgreSQL ${missing.join(" and ")}`;
}

/** What cannot be tested on this machine. */
export interface MissingServer {
  readonly server: NeededServer;
  /** Nothing of it is there; false when only one of several versions is missing. */
  readonly entirely: boolean;
  /** One line for a person: what is missing, and what to do. */
  readonly notice: string;
}

/**
 * Looks for everything that tests may need.
 * @throws Error when something is missing that `REQUIRE_SERVERS` (names with commas) asks for.
 */
export async function findMissingServers(): Promise<readonly MissingServer[]> {
  const required = (process.env["REQUIRE_SERVERS"] ?? "").split(",").map((name) => name.trim());
  const missing: MissingServer[] = [];
  for (const server of ["postgres", "kafka", "registry", "python", "java"] as const) {
    const what = await lacks(server);
    if (what === undefined) continue;
    const notice = `${what} is missing: ${fixes[server]}`;
    if (required.includes(server)) throw new Error(`REQUIRE_SERVERS asks for ${server}. ${notice}`);
    missing.push({ server, entirely: server !== "postgres" || (await availablePostgres()).length === 0, notice });
  }
  return missing;
}
