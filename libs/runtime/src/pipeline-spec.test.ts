import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "@datatrace/testkit";
import { expect, test } from "vitest";
import { kafkaFromEnvironment } from "./kafka-environment.ts";
import { loadPipeline } from "./load-pipeline.ts";
import { captureDocument, deliveryDocument, pipelineOfSpec } from "./pipeline-spec.ts";
import type { Pipeline } from "./pipeline.ts";

const url = { type: "string", writeOnly: true };
const configSchema = { type: "object", properties: { url }, required: ["url"], additionalProperties: false };
const connectors = { sources: [{ type: "postgres", configSchema }], targets: [{ type: "postgres", configSchema }] };

const text = `
name: shop
sources:
  main: { type: postgres, url: "\${MAIN}" }
  other: { type: postgres, url: "\${OTHER}" }
targets:
  one: { type: postgres, url: "\${ONE}" }
  two: { type: postgres, url: "\${TWO}" }
tasks:
  orders:
    from: main
    to: [one, two]
    objects:
      - { table: public.orders, to: sales.orders }
      - table: public.customer_*
    sync: { batch_size: 10, error_strategy: skip, partitions: 5, table_exists_strategy: append }
  rest: { from: main, to: [two], objects: [{ table: public.stock }] }
  others: { from: other, to: [one], objects: [{ table: public.a }] }
`;
const environment = { MAIN: "planted-main", OTHER: "planted-other", ONE: "planted-one", TWO: "planted-two" };

async function load(): Promise<Pipeline> {
  await using folder = await temporaryDirectory("pipeline-spec");
  const file = join(folder.path, "pipeline.yaml");
  await writeFile(file, text);
  const { pipeline, problems } = loadPipeline(file, connectors, environment);
  expect(problems).toEqual([]);
  if (pipeline === null) throw new Error("not loaded");
  return pipeline;
}

const { log } = kafkaFromEnvironment({
  DATATRACE_KAFKA_BROKERS: "kafka:9092",
  DATATRACE_KAFKA_REGISTRY_URL: "http://registry.example",
});
if (log === null) throw new Error("the environment is right");
const service = log;

function open(spec: unknown): Pipeline {
  return pipelineOfSpec("shop.main", spec, service, connectors);
}

/** Lines and patterns are of the file, and not of the meaning. */
function meaning(tasks: Pipeline["tasks"]): unknown {
  return tasks.map((task) => ({
    ...task,
    line: 0,
    objects: task.objects.map(({ pattern, to }) => ({ table: pattern.text, to })),
  }));
}

test("a capture's spec has its source, its tasks and no target, and means what the file says", async () => {
  const pipeline = await load();
  const source = pipeline.sources.get("main");
  if (source === undefined) throw new Error("no source");
  const document = captureDocument(pipeline, source, "prefix");
  expect(JSON.stringify(document)).not.toContain("planted");
  const opened = open(document);
  expect(opened).toMatchObject({ name: "shop", log: { topicPrefix: "prefix", brokers: ["kafka:9092"] } });
  expect([...opened.sources.keys()]).toEqual(["main"]);
  expect(opened.targets.size).toBe(0);
  expect(meaning(opened.tasks)).toEqual(meaning(pipeline.tasks.filter(({ from }) => from === "main")));
  expect(String(opened.sources.get("main")?.config["url"])).toBe("[secret]");
});

test("a delivery's spec has one target and one task, and no source", async () => {
  const pipeline = await load();
  const [task] = pipeline.tasks;
  const target = pipeline.targets.get("two");
  if (task === undefined || target === undefined) throw new Error("no delivery");
  const opened = open(deliveryDocument(pipeline, task, target, "prefix"));
  expect([...opened.targets.keys()]).toEqual(["two"]);
  expect(opened.sources.size).toBe(0);
  expect(meaning(opened.tasks)).toEqual(meaning([{ ...task, to: ["two"] }]));
});

test("I8: a spec that is not valid is refused with its field, and without a value", async () => {
  const pipeline = await load();
  const source = pipeline.sources.get("main");
  if (source === undefined) throw new Error("no source");
  const right = captureDocument(pipeline, source, "prefix");
  const wrong: readonly (readonly [unknown, string])[] = [
    [null, ""],
    [{ ...right, name: "Planted name" }, "name"],
    [{ ...right, planted: 1 }, "planted"],
    [{ ...right, sources: { main: { type: "postgres", url: 7 } } }, "sources.main.url"],
    [{ ...right, sources: { main: { type: "oracle", url: "planted" } } }, "sources.main.type"],
    [{ ...right, tasks: { orders: { ...right.tasks["orders"], sync: { partitions: 0 } } } }, "tasks.orders"],
    [{ ...right, tasks: { a: right.tasks["orders"], b: { ...right.tasks["orders"], mode: "stream" } } }, "tasks.b"],
  ];
  for (const [spec, path] of wrong) {
    let error: unknown;
    try {
      open(spec);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: "control.spec_invalid", detail: { spec: "shop.main" } });
    expect((error as { detail: { path: string } }).detail.path).toContain(path);
    expect(String(error)).not.toMatch(/Planted name|planted-/);
  }
});
