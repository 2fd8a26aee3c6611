import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { Secret } from "@datatrace/core";
import { Type } from "typebox";
import { afterAll, describe, expect, test } from "vitest";
import { loadPipeline } from "./load-pipeline.ts";
import type { PipelineLog } from "./pipeline-log.ts";

const planted = "hunter2-planted";
const withLogin = (url: string) => url.replace("//", `//app:${planted}@`);
const database = { type: "postgres", configSchema: Type.Object({ url: Type.String({ writeOnly: true }) }) };
const connectors = { sources: [database], targets: [database] };
const environment = {
  DB: `postgres://app:${planted}@db/shop`,
  SASL: planted,
  KEY: `-----BEGIN PRIVATE KEY-----\n${planted}`,
  REGISTRY: withLogin("https://registry.example/apis/ccompat/v7"),
};

const directory = mkdtempSync(join(tmpdir(), "datatrace-kafka-log-"));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** `log` are the lines below `log:`. */
function load(...log: readonly string[]) {
  const file = join(directory, "pipeline.yaml");
  const rest = `sources: { shop: { type: postgres, url: "\${DB}" } }
targets: { warehouse: { type: postgres, url: "\${DB}" } }
tasks: { all: { from: shop, to: [warehouse], objects: [{ table: public.* }] } }
`;
  writeFileSync(file, `name: shop\nlog:\n${log.map((line) => `  ${line}\n`).join("")}${rest}`);
  return loadPipeline(file, connectors, environment);
}

function kafkaLog(log: PipelineLog | undefined) {
  if (log?.kind !== "kafka") throw new Error("it is not a log on Kafka");
  return log;
}

const full = [
  "kafka:",
  "  brokers: [kafka-1:9092, '[::1]:9093']",
  '  ssl: { ca: PEM, cert: PEM, key: "${KEY}", servername: kafka, rejectUnauthorized: false }',
  '  sasl: { mechanism: scram-sha-512, username: app, password: "${SASL}" }',
  '  registry: { url: "https://registry.example", login: { user: app, password: "${SASL}" }, tls: { ca: PEM, server_name: r } }',
  "  topic_prefix: Shop.v2",
  "  replication_factor: 2",
];

describe("a log on Kafka", () => {
  test("with brokers and registry alone takes the other settings from the log and the pipeline's name", () => {
    const { pipeline, problems } = load("kafka:", "  brokers: [127.0.0.1:9092]", "  registry: http://127.0.0.1:8081");
    expect(problems).toEqual([]);
    const { registry, ...log } = kafkaLog(pipeline?.log);
    expect(log).toEqual({
      kind: "kafka",
      brokers: ["127.0.0.1:9092"],
      ssl: false,
      sasl: null,
      topicPrefix: "shop",
      replicationFactor: null,
      line: 3,
    });
    expect(registry).toMatchObject({ login: null, tls: null });
    expect(registry.url.reveal()).toBe("http://127.0.0.1:8081");
  });

  test("takes every setting, secrets from the environment", () => {
    const { pipeline, problems } = load(...full);
    expect(problems).toEqual([]);
    const { ssl, sasl, registry, ...log } = kafkaLog(pipeline?.log);
    expect(log).toMatchObject({
      brokers: ["kafka-1:9092", "[::1]:9093"],
      topicPrefix: "Shop.v2",
      replicationFactor: 2,
    });
    expect(ssl).toMatchObject({ ca: "PEM", cert: "PEM", servername: "kafka", rejectUnauthorized: false });
    expect(sasl).toMatchObject({ mechanism: "scram-sha-512", username: "app" });
    expect(sasl?.password.reveal()).toBe(planted);
    expect(registry).toEqual({
      url: new Secret("https://registry.example"),
      login: { kind: "basic", user: "app", password: new Secret(planted) },
      tls: { ca: "PEM", serverName: "r" },
    });
  });

  test("I8: printing it shows no secret", () => {
    for (const lines of [full, ["kafka:", "  brokers: [a:1]", '  registry: "${REGISTRY}"']]) {
      const { pipeline, problems } = load(...lines);
      expect(problems).toEqual([]);
      expect(inspect(pipeline, { depth: 20 })).not.toContain(planted);
      expect(JSON.stringify(pipeline)).not.toContain(planted);
    }
  });

  test("I8: each secret in plain text is a warning, without the secret", () => {
    const { pipeline, problems } = load(
      "kafka:",
      "  brokers: [a:1]",
      `  ssl: { cert: PEM, key: ${planted}, passphrase: ${planted} }`,
      `  sasl: { mechanism: plain, username: app, password: ${planted} }`,
      `  registry: { url: "${withLogin("https://registry.example")}", login: { token: ${planted} }, tls: { certificate: PEM, key: ${planted} } }`,
    );
    expect(pipeline).not.toBeNull();
    expect(problems.map(({ severity, code, line, path }) => `${severity} ${code} ${line} ${path}`)).toEqual([
      "warning config.secret_in_file 5 log.kafka.ssl.key",
      "warning config.secret_in_file 5 log.kafka.ssl.passphrase",
      "warning config.secret_in_file 6 log.kafka.sasl.password",
      "warning config.secret_in_file 7 log.kafka.registry.url",
      "warning config.secret_in_file 7 log.kafka.registry.login.token",
      "warning config.secret_in_file 7 log.kafka.registry.tls.key",
    ]);
    expect(JSON.stringify(problems)).not.toContain(planted);
    const short = load("kafka:", "  brokers: [a:1]", `  registry: ${withLogin("http://registry.example")}`);
    expect(short.problems).toMatchObject([{ code: "config.secret_in_file", line: 5, path: "log.kafka.registry" }]);
  });
});

describe("what is wrong with it is named with line, path and fix", () => {
  const kafka = ["kafka:", "  brokers: [a:1]", "  registry: http://registry.example"];
  const cases: readonly (readonly [string, readonly string[], string, number, string, RegExp])[] = [
    [
      "the directory of the embedded log",
      ["directory: here", ...kafka],
      "config.invalid",
      3,
      "log.directory",
      /embedded/,
    ],
    ["the limit of the embedded log", [...kafka, "max_size: 1GB"], "config.invalid", 6, "log.max_size", /embedded/],
    [
      "no brokers",
      ["kafka: { registry: 'http://registry.example' }"],
      "config.invalid",
      3,
      "log.kafka",
      /`brokers` is missing/,
    ],
    ["no registry", ["kafka: { brokers: [a:1] }"], "config.invalid", 3, "log.kafka", /`registry` is missing/],
    [
      "an empty list",
      ["kafka: { brokers: [], registry: 'http://registry.example' }"],
      "config.invalid",
      3,
      "log.kafka.brokers",
      /1 entry/,
    ],
    [
      "no port",
      ["kafka: { brokers: [a], registry: 'http://registry.example' }"],
      "config.invalid",
      3,
      "log.kafka.brokers[0]",
      /host:port/,
    ],
    ["no url", ["kafka: { brokers: [a:1], registry: 'r:8081' }"], "config.invalid", 3, "log.kafka.registry", /https:/],
    [
      "a typing error",
      [...kafka, "  topic_prefx: a"],
      "config.field_unknown",
      6,
      "log.kafka.topic_prefx",
      /`topic_prefix`/,
    ],
    [
      "one in ssl",
      [...kafka, "  ssl: { cer: a }"],
      "config.field_unknown",
      6,
      "log.kafka.ssl.cer",
      /did you mean `cert`/,
    ],
    ["ssl as a text", [...kafka, "  ssl: please"], "config.invalid", 6, "log.kafka.ssl", /true or false/],
    [
      "a mechanism",
      [...kafka, "  sasl: { mechanism: scram-sha-265, username: a, password: '${SASL}' }"],
      "config.invalid",
      6,
      "log.kafka.sasl.mechanism",
      /did you mean `scram-sha-256`/,
    ],
    [
      "half a login",
      ["kafka:", "  brokers: [a:1]", "  registry: { url: 'http://registry.example', login: { user: a } }"],
      "config.invalid",
      5,
      "log.kafka.registry.login",
      /`user` and `password`/,
    ],
    [
      "TLS without https",
      ["kafka:", "  brokers: [a:1]", "  registry: { url: 'http://registry.example', tls: { ca: PEM } }"],
      "config.invalid",
      5,
      "log.kafka.registry.tls",
      /https:/,
    ],
  ];
  test.for(cases)("%s", ([, lines, code, line, path, message]) => {
    const { pipeline, problems } = load(...lines);
    expect(pipeline).toBeNull();
    expect(problems).toMatchObject([{ severity: "error", code, line, path }]);
    expect(problems[0]?.message).toMatch(message);
    expect(problems[0]?.fix).not.toBe("");
  });
});
