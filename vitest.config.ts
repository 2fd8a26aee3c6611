import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import type { TestProjectInlineConfiguration } from "vitest/config";
import { ClosingLine } from "./libs/testkit/src/closing-line.ts";
import { findMissingServers } from "./libs/testkit/src/needed-servers.ts";

const missing = await findMissingServers();
const everywhere = "{libs,services,tests}/**";

interface Suite {
  readonly name: string;
  readonly include: readonly string[];
  readonly exclude?: readonly string[];
  /** Run once before the first of its files, however long it takes. */
  readonly setUpOnce?: string;
  readonly testTimeoutMs: number;
}

// A test's suffix says what it needs. End-to-end tests need PostgreSQL, and what else their names say.
const suites: readonly Suite[] = [
  {
    name: "unit",
    include: [`${everywhere}/*.test.ts`],
    exclude: ["**/*.{postgres,kafka,python,java,registry,long}.test.ts", "tests/{architecture,e2e}/**"],
    testTimeoutMs: 20_000,
  },
  // Needs no server, but more time than `npm run check` has.
  { name: "long", include: [`${everywhere}/*.long.test.ts`], exclude: ["tests/e2e/**"], testTimeoutMs: 120_000 },
  { name: "architecture", include: ["tests/architecture/**/*.test.ts"], testTimeoutMs: 20_000 },
  {
    name: "postgres",
    include: [`${everywhere}/*.postgres.test.ts`],
    exclude: ["tests/e2e/**"],
    testTimeoutMs: 60_000,
  },
  {
    name: "registry",
    include: [`${everywhere}/*.registry.test.ts`],
    exclude: ["tests/e2e/**"],
    setUpOnce: "./libs/testkit/src/registry-set-up.ts",
    testTimeoutMs: 120_000,
  },
  {
    name: "kafka",
    include: [`${everywhere}/*.kafka.test.ts`],
    exclude: ["tests/e2e/**"],
    // The first test on a machine fetches Kafka.
    testTimeoutMs: 120_000,
  },
  { name: "python", include: [`${everywhere}/*.python.test.ts`], testTimeoutMs: 120_000 },
  // The first test on a machine fetches the libraries.
  { name: "java", include: [`${everywhere}/*.java.test.ts`], testTimeoutMs: 120_000 },
  { name: "e2e", include: ["tests/e2e/**/*.test.ts"], testTimeoutMs: 120_000 },
];

/** Files that name something, among several things, that is not here: `*.postgres.kafka.registry.test.ts`. */
const withoutServers = missing.filter(({ entirely }) => entirely).map(({ server }) => `tests/**/*.${server}.**test.ts`);

function isImpossible(name: string): boolean {
  return missing.some(
    ({ server, entirely }) => entirely && (server === name || (server === "postgres" && name === "e2e")),
  );
}

function projectOf({ name, include, exclude = [], setUpOnce, testTimeoutMs }: Suite): TestProjectInlineConfiguration {
  return {
    test: {
      name,
      include: isImpossible(name) ? [] : [...include],
      exclude: ["**/node_modules/**", ...withoutServers, ...exclude],
      pool: "forks",
      globalSetup: setUpOnce === undefined ? [] : [setUpOnce],
      setupFiles: ["./libs/testkit/src/child-coverage.ts"],
      testTimeout: testTimeoutMs,
      hookTimeout: 60_000,
    },
  };
}

export default defineConfig({
  test: {
    // Most tests wait for servers and processes, not for this machine.
    maxWorkers: availableParallelism() + 1,
    projects: suites.map((suite) => projectOf(suite)),
    reporters: ["default", new ClosingLine(missing.map(({ notice }) => notice))],
    passWithNoTests: false,
    teardownTimeout: 20_000,
    coverage: {
      provider: "v8",
      include: ["{libs,services}/*/src/**/*.ts"],
      exclude: ["**/*.test.ts"],
      // Gated by `npm test`, which adds what other processes and threads have run.
      reporter: ["json"],
      reportOnFailure: true,
    },
  },
});
