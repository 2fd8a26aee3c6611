import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "@datatrace/testkit";
import { expect, test } from "vitest";
import { Output } from "../output.ts";
import { parseServiceCommand, readServiceSettings } from "./service-settings.ts";
import { serviceVariables } from "./service-variables.ts";

const keys = randomBytes(32).toString("base64");
const kafka = { DATATRACE_KAFKA_BROKERS: "kafka:9092", DATATRACE_KAFKA_REGISTRY_URL: "http://registry.example" };
const nowhere = { file: null, host: "127.0.0.1", port: null, logLevel: null };

/** What is said, as JSON lines. */
function listen(): { readonly output: Output; readonly said: string[] } {
  const said: string[] = [];
  const stream = { write: (text: string) => said.push(text) } as unknown as NodeJS.WriteStream;
  return { output: new Output(true, { stdout: stream, stderr: stream }), said };
}

test("an argument wins over its variable, and nothing needs to be given", () => {
  expect(parseServiceCommand([], {})).toEqual(nowhere);
  const environment = { DATATRACE_PIPELINE_FILE: "a.yaml", DATATRACE_PORT: "1", DATATRACE_HOST: "0.0.0.0" };
  expect(parseServiceCommand([], environment)).toMatchObject({ file: "a.yaml", port: 1, host: "0.0.0.0" });
  expect(parseServiceCommand(["b.yaml", "--port", "2", "--log-level", "debug"], environment)).toMatchObject({
    file: "b.yaml",
    port: 2,
    logLevel: "debug",
  });
});

test.for([
  ["a.yaml", "b.yaml"],
  ["--prot", "1"],
  ["--port", "many"],
  ["--log-level", "loud"],
])("wrong usage is said: %s", (args) => {
  expect(() => parseServiceCommand(args, {})).toThrow(expect.objectContaining({ code: "config.usage" }));
});

test("without a file the log comes from the environment, and what is wrong there is said", () => {
  const { output, said } = listen();
  expect(readServiceSettings(nowhere, { ...kafka, DATATRACE_SECRET_KEYS: keys }, output)).toMatchObject({
    log: { kind: "kafka", brokers: ["kafka:9092"] },
    pipeline: null,
  });
  expect(said).toEqual([]);
  expect(readServiceSettings(nowhere, { DATATRACE_SECRET_KEYS: keys }, output)).toBeNull();
  expect(said.join("")).toContain("DATATRACE_KAFKA_BROKERS");
});

test("no service runs without a key for its secrets, or with a log that nobody else has", async () => {
  const { output } = listen();
  const missing = expect.objectContaining({ code: "config.secret_key_missing" });
  expect(() => readServiceSettings(nowhere, kafka, output)).toThrow(missing);
  await using folder = await temporaryDirectory("service-settings");
  const file = join(folder.path, "pipeline.yaml");
  const ends = "{ a: { type: postgres, url: 'postgres://h/db' } }";
  const tasks = "{ t: { from: a, to: [a], objects: [{ table: public.t }] } }";
  await writeFile(file, `name: shop\nsources: ${ends}\ntargets: ${ends}\ntasks: ${tasks}\n`);
  const embedded = expect.objectContaining({ code: "config.usage" });
  expect(() => readServiceSettings({ ...nowhere, file }, { DATATRACE_SECRET_KEYS: keys }, output)).toThrow(embedded);
  const log = "log: { kafka: { brokers: ['k:9092'], registry: 'http://registry.example' } }";
  await writeFile(file, `name: shop\n${log}\nsources: ${ends}\ntargets: ${ends}\ntasks: ${tasks}\n`);
  expect(readServiceSettings({ ...nowhere, file }, { ...kafka, DATATRACE_SECRET_KEYS: keys }, output)).toMatchObject({
    log: { brokers: ["k:9092"] },
    pipeline: { name: "shop" },
  });
});

test("every variable is described once", () => {
  const names = serviceVariables().map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names).toEqual(expect.arrayContaining(["DATATRACE_SECRET_KEYS", "DATATRACE_PORT", "DATATRACE_KAFKA_BROKERS"]));
});
