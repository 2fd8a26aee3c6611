import { DataTraceError } from "@datatrace/core";

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: JsonValue;
}

const primitives = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"] as const;

export interface AvroField {
  readonly name: string;
  readonly node: AvroNode;
  /** The field as written, with its other properties. */
  readonly json: JsonObject;
}

export interface AvroRecord {
  readonly kind: "record";
  readonly fullName: string;
  readonly fields: readonly AvroField[];
  readonly json: JsonObject;
}

/** A schema with every name resolved. `json` keeps the properties that Avro itself does not know (`connect.name`). */
export type AvroNode =
  | { readonly kind: (typeof primitives)[number]; readonly json: JsonObject }
  | { readonly kind: "fixed"; readonly sizeBytes: number; readonly json: JsonObject }
  | { readonly kind: "enum"; readonly symbols: number; readonly json: JsonObject }
  | { readonly kind: "array"; readonly items: AvroNode; readonly json: JsonObject }
  | { readonly kind: "map"; readonly values: AvroNode; readonly json: JsonObject }
  | { readonly kind: "union"; readonly branches: readonly AvroNode[]; readonly json: JsonObject }
  | AvroRecord;

/** @throws DataTraceError `log.schema_unsupported` when the text is no Avro schema. */
export function parseAvroSchema(text: string): AvroNode {
  let json: JsonValue;
  try {
    json = JSON.parse(text) as JsonValue;
  } catch {
    throw unsupported("the schema is not JSON");
  }
  return parse(json, "", new Map());
}

/** A schema that cannot be read. `what` names schema parts only. */
export function unsupported(what: string): DataTraceError {
  return new DataTraceError("log.schema_unsupported", { detail: { what } });
}

export function isObject(json: JsonValue | undefined): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

export function textOf(json: JsonObject, name: string): string | undefined {
  const value = json[name];
  return typeof value === "string" ? value : undefined;
}

/** The string entries of `connect.parameters`. */
export function parametersOf(json: JsonObject): ReadonlyMap<string, string> {
  const parameters = json["connect.parameters"];
  if (!isObject(parameters)) return new Map();
  return new Map(Object.entries(parameters).filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}

function parse(json: JsonValue, namespace: string, named: Map<string, AvroNode>): AvroNode {
  if (typeof json === "string") return byName(json, {}, namespace, named);
  if (Array.isArray(json)) {
    return { kind: "union", branches: json.map((branch: JsonValue) => parse(branch, namespace, named)), json: {} };
  }
  if (!isObject(json)) throw unsupported("a schema is neither a name, a list nor an object");
  const type = json["type"];
  if (type === undefined) throw unsupported("a schema has no type");
  if (typeof type !== "string") return parse(type, namespace, named);
  switch (type) {
    case "record":
    case "error":
      return parseRecord(json, namespace, named);
    case "enum": {
      const symbols = json["symbols"];
      return define(json, namespace, named, {
        kind: "enum",
        symbols: Array.isArray(symbols) ? symbols.length : 0,
        json,
      });
    }
    case "fixed":
      return define(json, namespace, named, { kind: "fixed", sizeBytes: Number(json["size"]), json });
    case "array":
      return { kind: "array", items: parse(json["items"] ?? null, namespace, named), json };
    case "map":
      return { kind: "map", values: parse(json["values"] ?? null, namespace, named), json };
    default:
      return byName(type, json, namespace, named);
  }
}

function parseRecord(json: JsonObject, namespace: string, named: Map<string, AvroNode>): AvroNode {
  const fullName = fullNameOf(json, namespace);
  const fields: AvroField[] = [];
  const record: AvroRecord = { kind: "record", fullName, fields, json };
  named.set(fullName, record);
  const inner = fullName.slice(0, Math.max(0, fullName.lastIndexOf(".")));
  const list = json["fields"];
  if (!Array.isArray(list)) throw unsupported(`record ${fullName} has no fields`);
  for (const field of list as readonly JsonValue[]) {
    const name = isObject(field) ? textOf(field, "name") : undefined;
    if (!isObject(field) || name === undefined) throw unsupported(`record ${fullName} has a field without a name`);
    fields.push({ name, node: parse(field["type"] ?? null, inner, named), json: field });
  }
  return record;
}

function define(json: JsonObject, namespace: string, named: Map<string, AvroNode>, node: AvroNode): AvroNode {
  named.set(fullNameOf(json, namespace), node);
  return node;
}

function byName(name: string, json: JsonObject, namespace: string, named: Map<string, AvroNode>): AvroNode {
  const primitive = primitives.find((known) => known === name);
  if (primitive !== undefined) return { kind: primitive, json };
  const node = named.get(qualified(name, namespace)) ?? named.get(name);
  if (node === undefined) throw unsupported(`type ${name} is not defined`);
  return node;
}

function fullNameOf(json: JsonObject, namespace: string): string {
  const name = textOf(json, "name") ?? "";
  return qualified(name, textOf(json, "namespace") ?? namespace);
}

function qualified(name: string, namespace: string): string {
  return name.includes(".") || namespace === "" ? name : `${namespace}.${name}`;
}
