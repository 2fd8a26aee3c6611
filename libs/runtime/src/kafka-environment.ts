import type { Environment } from "./environment.ts";
import type { FileProblem } from "./file-problem.ts";
import { logFormProblems, logProblems } from "./log-checks.ts";
import { kafkaFields, logOutline } from "./log-schema.ts";
import type { LogDocument } from "./log-schema.ts";
import { logOf } from "./pipeline-log.ts";
import type { KafkaLogSettings } from "./pipeline-log.ts";
import { schemaProblems } from "./schema-problems.ts";
import { YamlSource } from "./yaml-source.ts";

/** A field of `log.kafka` as a service without a pipeline file gets it. */
export interface KafkaVariable {
  /** `DATATRACE_KAFKA_SASL_PASSWORD`. */
  readonly name: string;
  /** Below `log.kafka`. */
  readonly path: readonly string[];
  readonly value: "text" | "list" | "number" | "switch";
  readonly description: string;
}

interface Field {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Field>>;
  readonly anyOf?: readonly Field[];
}

/** The first part of data topics belongs to the pipelines, whose specs name it. */
const ofPipelines = ["topic_prefix"];

const values: Readonly<Record<string, KafkaVariable["value"]>> = {
  array: "list",
  integer: "number",
  boolean: "switch",
};

/** Every variable, made from the schema of the pipeline file's `log.kafka`. */
export function kafkaVariables(): readonly KafkaVariable[] {
  const fields = (kafkaFields as Field).properties ?? {};
  return Object.entries(fields)
    .filter(([name]) => !ofPipelines.includes(name))
    .flatMap(([name, field]) => variablesOf([name], field));
}

function variablesOf(path: readonly string[], field: Field): readonly KafkaVariable[] {
  const inner = [field, ...(field.anyOf ?? [])].flatMap(({ properties }) => Object.entries(properties ?? {}));
  const below = inner.flatMap(([name, one]) => variablesOf([...path, name], one));
  const alone = [field, ...(field.anyOf ?? [])].find(({ properties, anyOf }) => properties === undefined && !anyOf);
  // A text that may also be a map has the text as the map's `url`.
  const isUrl = below.some(({ path: one }) => one.at(-1) === "url");
  if (alone === undefined || isUrl) return below;
  const description = field.description ?? alone.description ?? "";
  return [{ name: nameOf(path), path, value: values[alone.type ?? ""] ?? "text", description }, ...below];
}

function nameOf(path: readonly string[]): string {
  const words = path.map((part) => part.replaceAll(/[A-Z]/g, (letter) => `_${letter}`));
  return `DATATRACE_KAFKA_${words.join("_").toUpperCase()}`;
}

export interface LoadedKafka {
  /** Null when a problem is an error. */
  readonly log: KafkaLogSettings | null;
  readonly problems: readonly FileProblem[];
}

/** The log on Kafka as the environment describes it. All that is wrong is answered at once, by the variables' names. */
export function kafkaFromEnvironment(environment: Environment): LoadedKafka {
  const document: LogDocument = { kafka: documentOf(environment) as unknown as NonNullable<LogDocument["kafka"]> };
  const source = new YamlSource("");
  const formal = [
    ...schemaProblems(logOutline, document, ["log"], source),
    ...logFormProblems({ log: document }, source),
  ];
  const problems = (formal.length > 0 ? formal : logProblems(document, source)).map(inVariables);
  if (problems.length > 0) return { log: null, problems };
  const log = logOf(document, "", "", 0);
  return { log: log.kind === "kafka" ? log : null, problems };
}

function documentOf(environment: Environment): Readonly<Record<string, unknown>> {
  const document: Record<string, unknown> = {};
  for (const { name, path, value } of kafkaVariables()) {
    const text = environment[name];
    if (text === undefined || text === "") continue;
    const [first = "", ...rest] = path;
    if (rest.length === 0) document[first] = read(text, value);
    else document[first] = set(document[first], rest, read(text, value));
  }
  return document;
}

/** A map takes the place of a switch that turns it on. */
function set(into: unknown, [name = "", ...rest]: readonly string[], value: unknown): Record<string, unknown> {
  const map = typeof into === "object" && into !== null ? { ...(into as Record<string, unknown>) } : {};
  map[name] = rest.length === 0 ? value : set(map[name], rest, value);
  return map;
}

/** What is not of its form stays a text: the schema then says so. */
function read(text: string, value: KafkaVariable["value"]): unknown {
  switch (value) {
    case "list":
      return text
        .split(",")
        .map((one) => one.trim())
        .filter((one) => one !== "");
    case "number":
      return /^\d{1,9}$/.test(text) ? Number(text) : text;
    case "switch":
      return text === "true" ? true : text === "false" ? false : text;
    case "text":
      return text;
  }
}

/** The same, for somebody who has variables and no file. */
function inVariables(problem: FileProblem): FileProblem {
  const all = kafkaVariables();
  const [, field = ""] = /^The field `(\w+)` is missing/.exec(problem.message) ?? [];
  const path = field === "" ? problem.path : `${problem.path}.${field}`;
  const isAt = (one: KafkaVariable): boolean => ["log", "kafka", ...one.path].join(".") === path;
  // Of a map that is missing as a whole: its first variable.
  const variable = all.find(isAt) ?? all.find((one) => ["log", "kafka", ...one.path].join(".").startsWith(`${path}.`));
  if (variable === undefined) return { ...problem, fix: "Correct the variables DATATRACE_KAFKA_…" };
  const { name, description } = variable;
  const message =
    field === "" ? problem.message.replace(`\`${path}\``, `\`${name}\``) : `\`${name}\` is not set: ${description}`;
  return { ...problem, message, fix: `Set ${name}.`, path: name };
}
