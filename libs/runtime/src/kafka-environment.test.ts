import { expect, test } from "vitest";
import { kafkaFromEnvironment, kafkaVariables } from "./kafka-environment.ts";

const least = {
  DATATRACE_KAFKA_BROKERS: "kafka-1:9092, kafka-2:9092",
  DATATRACE_KAFKA_REGISTRY_URL: "http://registry.example:8081",
};

test("what a service needs at least", () => {
  const { log, problems } = kafkaFromEnvironment(least);
  expect(problems).toEqual([]);
  expect(log).toMatchObject({
    kind: "kafka",
    brokers: ["kafka-1:9092", "kafka-2:9092"],
    ssl: false,
    sasl: null,
    replicationFactor: null,
  });
  expect(log?.registry.url.reveal()).toBe("http://registry.example:8081");
});

test("I8: logins, certificates and numbers come as from a file, secrets as secrets", () => {
  const { log } = kafkaFromEnvironment({
    ...least,
    DATATRACE_KAFKA_SSL: "true",
    DATATRACE_KAFKA_SSL_CA: "pem",
    DATATRACE_KAFKA_SSL_REJECT_UNAUTHORIZED: "false",
    DATATRACE_KAFKA_SASL_MECHANISM: "scram-sha-512",
    DATATRACE_KAFKA_SASL_USERNAME: "app",
    DATATRACE_KAFKA_SASL_PASSWORD: "planted-1",
    DATATRACE_KAFKA_REGISTRY_URL: "https://registry.example",
    DATATRACE_KAFKA_REGISTRY_LOGIN_TOKEN: "planted-2",
    DATATRACE_KAFKA_REGISTRY_TLS_SERVER_NAME: "registry",
    DATATRACE_KAFKA_REPLICATION_FACTOR: "2",
  });
  expect(log).toMatchObject({
    ssl: { ca: "pem", rejectUnauthorized: false },
    sasl: { mechanism: "scram-sha-512", username: "app" },
    registry: { login: { kind: "bearer" }, tls: { serverName: "registry" } },
    replicationFactor: 2,
  });
  expect(log?.sasl?.password.reveal()).toBe("planted-1");
  expect(JSON.stringify(log)).not.toContain("planted");
});

test("I8: all that is wrong is said at once, by the variables, without their values", () => {
  const { log, problems } = kafkaFromEnvironment({
    DATATRACE_KAFKA_BROKERS: "planted",
    DATATRACE_KAFKA_SSL: "planted",
    DATATRACE_KAFKA_SASL_MECHANISM: "plan",
    DATATRACE_KAFKA_SASL_USERNAME: "app",
    DATATRACE_KAFKA_REPLICATION_FACTOR: "planted",
  });
  expect(log).toBeNull();
  const messages = problems.map(({ message }) => message).join("\n");
  for (const name of [
    "DATATRACE_KAFKA_SSL",
    "DATATRACE_KAFKA_SASL_MECHANISM",
    "DATATRACE_KAFKA_SASL_PASSWORD",
    "DATATRACE_KAFKA_REGISTRY_URL",
    "DATATRACE_KAFKA_REPLICATION_FACTOR",
  ]) {
    expect(messages).toContain(`\`${name}\``);
    expect(problems.map(({ fix }) => fix)).toContain(`Set ${name}.`);
  }
  expect(messages).not.toContain("planted");
});

test("a login that is half there is refused", () => {
  const { problems } = kafkaFromEnvironment({ ...least, DATATRACE_KAFKA_REGISTRY_LOGIN_USER: "app" });
  expect(problems).toMatchObject([{ code: "config.invalid", message: expect.stringContaining("`password`") }]);
});

test("every variable has a description, and no two have the same name", () => {
  const all = kafkaVariables();
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  expect(all.filter(({ description }) => description === "")).toEqual([]);
});
