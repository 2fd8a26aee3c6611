import { createHash } from "node:crypto";

import { DataTraceError, invariant } from "@datatrace/core";
import type { Database, Statement } from "better-sqlite3";

/** Schemas and subjects in the log's file. Every method is one step of a transaction that the caller holds. */
export class SchemaStore {
  readonly #byHash: Statement;
  readonly #registered: Statement;
  readonly #byId: Statement;
  readonly #addSchema: Statement;
  readonly #addVersion: Statement;

  constructor(database: Database) {
    this.#byHash = database.prepare("SELECT id FROM schemas WHERE canonical_sha256 = ?").pluck();
    this.#registered = database
      .prepare(
        "SELECT s.id FROM subjects v JOIN schemas s ON s.id = v.schema WHERE v.subject = ? AND s.canonical_sha256 = ?",
      )
      .pluck();
    this.#byId = database.prepare("SELECT text FROM schemas WHERE id = ?").pluck();
    this.#addSchema = database
      .prepare("INSERT INTO schemas (canonical_sha256, text) VALUES (?, ?) RETURNING id")
      .pluck();
    this.#addVersion = database.prepare(`
      INSERT INTO subjects (subject, version, schema)
      SELECT :subject, 1 + coalesce((SELECT max(version) FROM subjects WHERE subject = :subject), 0), :id WHERE true
      ON CONFLICT (subject, schema) DO NOTHING`);
  }

  /** The schema's id, if the subject has it. */
  find(subject: string, schema: string): number | null {
    return (this.#registered.get(subject, hashOf(schema)) as number | undefined) ?? null;
  }

  register(subject: string, schema: string): number {
    const hash = hashOf(schema);
    const id = (this.#byHash.get(hash) ?? this.#addSchema.get(hash, schema)) as number;
    this.#addVersion.run({ subject, id });
    return id;
  }

  /** @throws DataTraceError `registry.schema_unknown`. */
  byId(id: number): string {
    const text = this.#byId.get(id) as string | undefined;
    if (text === undefined) throw new DataTraceError("registry.schema_unknown", { detail: { id } });
    return text;
  }
}

/** The same text for the same JSON, however it is spaced and its fields are ordered. */
export function canonicalJson(text: string): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    invariant(false, "a schema is JSON");
  }
  return JSON.stringify(sortedFields(parsed));
}

function hashOf(schema: string): Buffer {
  return createHash("sha256").update(canonicalJson(schema)).digest();
}

function sortedFields(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedFields);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(fields.map(([name, field]) => [name, sortedFields(field)]));
}
