import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Secret } from "@datatrace/core";
import { secretFields } from "./connector-schemas.ts";
import type { ConnectorSchema, ConnectorSchemas } from "./connector-schemas.ts";
import { substitute } from "./environment.ts";
import type { Environment } from "./environment.ts";
import { fileProblem } from "./file-problem.ts";
import type { FileProblem } from "./file-problem.ts";
import { logFormProblems, logSecrets } from "./log-checks.ts";
import { crossFieldProblems } from "./pipeline-checks.ts";
import { defaults, endpointSchema, outlineSchema } from "./pipeline-schema.ts";
import type { EndpointDocument, PipelineDocument, TaskDocument } from "./pipeline-schema.ts";
import { logOf } from "./pipeline-log.ts";
import type { Endpoint, Pipeline, Task } from "./pipeline.ts";
import { schemaProblems } from "./schema-problems.ts";
import { splitTableName, TablePattern } from "./table-pattern.ts";
import { pathText, YamlSource } from "./yaml-source.ts";
import type { FilePath } from "./yaml-source.ts";

export interface LoadedPipeline {
  /** Null when a problem is an error. */
  readonly pipeline: Pipeline | null;
  /** In the order of their lines. */
  readonly problems: readonly FileProblem[];
}

/** Reads a pipeline file. All that is wrong with it is answered at once, with its line; nothing is thrown for it. */
export function loadPipeline(file: string, connectors: ConnectorSchemas, environment: Environment): LoadedPipeline {
  const path = resolve(file);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? "unreadable";
    return failed([fileProblem("config.file_missing", `The pipeline file cannot be read (${reason}).`, 0, [])]);
  }
  const source = new YamlSource(text);
  const { fault } = source;
  if (fault !== null) return failed([fileProblem("config.invalid", fault.message, fault.line, [])]);
  const { problems: unset, fromEnvironment } = substituteAll(source, environment);
  if (unset.length > 0) return failed(unset);
  return check(path, source, connectors, fromEnvironment);
}

function failed(problems: readonly FileProblem[]): LoadedPipeline {
  return { pipeline: null, problems: problems.toSorted((left, right) => left.line - right.line) };
}

interface Substituted {
  readonly problems: readonly FileProblem[];
  /** Paths of the values that come, in part, from a variable. */
  readonly fromEnvironment: ReadonlySet<string>;
}

function substituteAll(source: YamlSource, environment: Environment): Substituted {
  const problems: FileProblem[] = [];
  const fromEnvironment = new Set<string>();
  source.replaceTexts((before, path) => {
    const { text, missing, malformed, substituted } = substitute(before, environment);
    for (const name of missing) {
      const fix = `Set ${name}, or give a default: \${${name}:-default}.`;
      const message = `The environment variable ${name} is not set.`;
      problems.push(fileProblem("config.env_missing", message, source.line(path), path, { fix }));
    }
    if (malformed) {
      const message = "A `${` is not of the form ${NAME} or ${NAME:-default}.";
      const fix = "Correct it; a plain `${` is written `$${`.";
      problems.push(fileProblem("config.invalid", message, source.line(path), path, { fix }));
    }
    if (substituted) fromEnvironment.add(pathText(path));
    return text;
  });
  return { problems, fromEnvironment };
}

function check(
  file: string,
  source: YamlSource,
  connectors: ConnectorSchemas,
  fromEnvironment: ReadonlySet<string>,
): LoadedPipeline {
  const value = source.value();
  const outline = schemaProblems(outlineSchema(connectors), value ?? {}, [], source);
  const parts = [
    ...logFormProblems(value, source),
    ...endpointProblems("sources", connectors.sources, value, source),
    ...endpointProblems("targets", connectors.targets, value, source),
  ];
  if (outline.length + parts.length > 0) return failed([...outline, ...parts]);
  const document = value as PipelineDocument;
  const crossed = crossFieldProblems(document, source);
  const warnings = plainSecrets(
    [
      ...logSecrets(document.log),
      ...endpointSecrets("sources", document.sources, connectors.sources),
      ...endpointSecrets("targets", document.targets, connectors.targets),
    ],
    source,
    fromEnvironment,
  );
  if (crossed.length > 0) return failed([...crossed, ...warnings]);
  const log = logOf(document.log, file, document.name, source.line(["log", "kafka"]));
  return { ...failed(warnings), pipeline: pipelineOf({ file, log }, document, connectors, source) };
}

/** Holds each entry against the schema of its own connector, so that a message speaks of that one alone. */
function endpointProblems(
  section: "sources" | "targets",
  known: readonly ConnectorSchema[],
  value: unknown,
  source: YamlSource,
): readonly FileProblem[] {
  const entries = (value as Readonly<Record<string, unknown>> | null)?.[section];
  if (typeof entries !== "object" || entries === null) return [];
  return Object.entries(entries).flatMap(([id, entry]) => {
    const connector = known.find(({ type }) => type === (entry as EndpointDocument | null)?.type);
    return connector === undefined ? [] : schemaProblems(endpointSchema(connector), entry, [section, id], source);
  });
}

type SecretField = readonly [path: FilePath, value: unknown];

function endpointSecrets(
  section: "sources" | "targets",
  entries: Readonly<Record<string, EndpointDocument>>,
  known: readonly ConnectorSchema[],
): readonly SecretField[] {
  return Object.entries(entries).flatMap(([id, entry]) => {
    const connector = known.find(({ type }) => type === entry.type);
    const fields = connector === undefined ? [] : secretFields(connector);
    return fields.map((field): SecretField => [[section, id, field], entry[field]]);
  });
}

/** A url with a password, or another secret, that stands in the file itself ends up in version control: a warning. */
function plainSecrets(
  secrets: readonly SecretField[],
  source: YamlSource,
  fromEnvironment: ReadonlySet<string>,
): readonly FileProblem[] {
  return secrets
    .filter(([path, value]) => !fromEnvironment.has(pathText(path)) && holdsPassword(value))
    .map(([path]) =>
      fileProblem("config.secret_in_file", `${pathText(path)} has a password in plain text.`, source.line(path), path, {
        severity: "warning",
      }),
    );
}

/** A field that is not a url is a secret as a whole; a url only when it names a password. */
function holdsPassword(value: unknown): boolean {
  if (typeof value !== "string" || value === "") return false;
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(value)) return true;
  return /^[^/]*\/\/[^/@]*:[^/@]+@/.test(value) || /[?&]password=./i.test(value);
}

/** A checked document with its defaults. Lines are those of `source`. */
export function pipelineOf(
  { file, log }: Pick<Pipeline, "file" | "log">,
  document: PipelineDocument,
  connectors: ConnectorSchemas,
  source: YamlSource,
): Pipeline {
  return {
    file,
    name: document.name,
    log,
    sources: endpointsOf("sources", document.sources, connectors.sources, source),
    targets: endpointsOf("targets", document.targets, connectors.targets, source),
    tasks: Object.entries(document.tasks).map(([id, task]) => taskOf(id, task, source)),
  };
}

function endpointsOf(
  section: "sources" | "targets",
  entries: Readonly<Record<string, EndpointDocument>>,
  known: readonly ConnectorSchema[],
  source: YamlSource,
): ReadonlyMap<string, Endpoint> {
  return new Map(
    Object.entries(entries).map(([id, { type, ...fields }]) => {
      const connector = known.find((one) => one.type === type);
      const secret = new Set(connector === undefined ? [] : secretFields(connector));
      const config = Object.fromEntries(
        Object.entries(fields).map(([name, field]) => [name, secret.has(name) ? new Secret(String(field)) : field]),
      );
      return [id, { id, type, config, line: source.line([section, id]) }];
    }),
  );
}

function taskOf(id: string, task: TaskDocument, source: YamlSource): Task {
  const sync = task.sync ?? {};
  return {
    id,
    from: task.from,
    to: task.to,
    mode: task.mode ?? defaults.mode,
    objects: task.objects.map(({ table, to }, index) => ({
      pattern: new TablePattern(table),
      to: to === undefined ? null : splitTableName(to),
      line: source.line(["tasks", id, "objects", index]),
    })),
    sync: {
      batchRows: sync.batch_size ?? defaults.batch_size,
      threads: sync.thread_count ?? defaults.thread_count,
      errorStrategy: sync.error_strategy ?? defaults.error_strategy,
      partitions: sync.partitions ?? defaults.partitions,
      tableExistsStrategy: sync.table_exists_strategy ?? defaults.table_exists_strategy,
    },
    line: source.line(["tasks", id]),
  };
}
