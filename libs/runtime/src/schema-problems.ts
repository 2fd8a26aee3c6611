import type { TSchema } from "typebox";
import { Settings } from "typebox/system";
import { Value } from "typebox/value";
import { fileProblem, shown } from "./file-problem.ts";
import type { FileProblem } from "./file-problem.ts";
import { isLaterField, isLaterValue } from "./later-fields.ts";
import { didYouMean } from "./suggestion.ts";
import { pathText } from "./yaml-source.ts";
import type { FilePath, YamlSource } from "./yaml-source.ts";

// The library stops at 8 by itself; a person wants to see all that is wrong with a file at once.
Settings.Set({ maxErrors: 200 });

/** What is read of a schema to explain an error. */
interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly description?: string;
}

/** The fields of the library's errors that are used, by keyword. */
interface SchemaError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: {
    readonly requiredProperties?: readonly string[];
    readonly additionalProperties?: readonly string[];
    readonly allowedValues?: readonly unknown[];
    readonly allowedValue?: unknown;
    readonly type?: string | readonly string[];
    readonly limit?: number;
  };
}

const typeNames: Readonly<Record<string, string>> = {
  object: "a map of fields",
  array: "a list",
  string: "a text",
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
};

/** Holds `value`, which stands at `base` in the file, against a schema. Says what, where, and what was probably meant. */
export function schemaProblems(
  schema: TSchema,
  value: unknown,
  base: FilePath,
  source: YamlSource,
): readonly FileProblem[] {
  const problems: FileProblem[] = [];
  for (const error of Value.Errors(schema, value) as readonly SchemaError[]) {
    const inner = pathOf(error.instancePath, value);
    problems.push(...explain(error, schema, inner, value, base, source));
  }
  return problems;
}

function explain(
  error: SchemaError,
  schema: SchemaNode,
  inner: FilePath,
  value: unknown,
  base: FilePath,
  source: YamlSource,
): readonly FileProblem[] {
  const path = [...base, ...inner];
  const line = source.line(path);
  const node = nodeAt(schema, inner);
  const name = path.length === 0 ? "The file" : shown(pathText(path));
  const invalid = (message: string) => [fileProblem("config.invalid", message, line, path)];
  const { params } = error;
  switch (error.keyword) {
    case "additionalProperties":
      return (params.additionalProperties ?? []).map((field) => extra(field, node, path, source));
    case "required":
      return (params.requiredProperties ?? []).map((field) =>
        fileProblem(
          "config.invalid",
          `The field \`${field}\` is missing${describe(node?.properties?.[field])}`,
          line,
          path,
        ),
      );
    case "type":
      return invalid(`${name} must be ${typeNames[String(params.type)] ?? String(params.type)}${describe(node)}`);
    case "enum":
    case "const": {
      const allowed = (params.allowedValues ?? [params.allowedValue]).map(String);
      return invalid(enumMessage(name, allowed, valueAt(value, inner), path));
    }
    case "pattern":
    case "minLength":
      return invalid(`${name} is not of the form that is wanted${describe(node)}`);
    case "minimum":
      return invalid(`${name} must be at least ${params.limit}.`);
    case "maximum":
      return invalid(`${name} must be at most ${params.limit}.`);
    case "minItems":
    case "minProperties":
      return invalid(
        `${name} must have at least ${params.limit} ${params.limit === 1 ? "entry" : "entries"}${describe(node)}`,
      );
    case "uniqueItems":
      return invalid(`${name} names the same thing twice.`);
    // Said already by the keyword around it.
    case "boolean":
    case "anyOf":
      return [];
    default:
      return invalid(`${name} is not valid (${error.keyword})${describe(node)}`);
  }
}

/** A field that is not in the schema: a name that is not legal, a field of a later version, or a typing error. */
function extra(field: string, node: SchemaNode | null, parent: FilePath, source: YamlSource): FileProblem {
  const path = [...parent, field];
  const line = source.line(path);
  const where = shown(field) === `\`${field}\`` ? path : parent;
  if (node?.patternProperties !== undefined) {
    const message = `The name ${shown(field)} is not legal: lower-case letters, digits, \`_\` and \`-\`, beginning with a letter, at most 40.`;
    return fileProblem("config.invalid", message, line, where);
  }
  if (isLaterField(path)) {
    const message = `The field ${shown(field)} is not in this version.`;
    return fileProblem("config.field_unknown", message, line, where, { fix: "Remove the field." });
  }
  const known = Object.keys(node?.properties ?? {});
  const near = didYouMean(field, known);
  const message = `There is no field ${shown(field)}${near === "" ? `; known here: ${known.join(", ")}.` : near}`;
  return fileProblem("config.field_unknown", message, line, where);
}

function enumMessage(name: string, allowed: readonly string[], given: unknown, path: FilePath): string {
  if (typeof given === "string" && isLaterValue(path, given)) {
    return `${name}: \`${given}\` is not in this version; use ${list(allowed)}.`;
  }
  // What was given is never repeated: it may be anything, a secret too. A near miss shows in the suggestion.
  return `${name} must be ${list(allowed)}${typeof given === "string" ? didYouMean(given, allowed) : ""}`.replace(
    /([^?])$/,
    "$1.",
  );
}

function list(allowed: readonly string[]): string {
  const quoted = allowed.map((one) => `\`${one}\``);
  return quoted.length === 1 ? (quoted[0] ?? "") : `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
}

/** `: what the schema says`, ending the sentence. */
function describe(node: SchemaNode | null | undefined): string {
  return node?.description === undefined ? "." : `: ${node.description}`;
}

function pathOf(pointer: string, value: unknown): FilePath {
  const path: (string | number)[] = [];
  let current: unknown = value;
  for (const escaped of pointer.split("/").slice(1)) {
    const part = escaped.replaceAll("~1", "/").replaceAll("~0", "~");
    path.push(Array.isArray(current) ? Number(part) : part);
    current = (current as Readonly<Record<string, unknown>> | null)?.[part];
  }
  return path;
}

function valueAt(value: unknown, path: FilePath): unknown {
  return path.reduce<unknown>((current, part) => (current as Readonly<Record<string, unknown>> | null)?.[part], value);
}

function nodeAt(schema: SchemaNode, path: FilePath): SchemaNode | null {
  let node: SchemaNode | undefined = schema;
  for (const part of path) {
    node =
      typeof part === "number"
        ? node?.items
        : (node?.properties?.[part] ?? Object.values(node?.patternProperties ?? {})[0]);
  }
  return node ?? null;
}
