import type { TableName } from "@datatrace/core";

/** `schema.table` as a pipeline file names it: exact, or with `*` (any run) and `?` (any one character) inside a part. */
export class TablePattern {
  readonly text: string;
  readonly isGlob: boolean;
  readonly #schema: RegExp;
  readonly #table: RegExp;
  readonly #exact: TableName;

  /** `text` has the form `schema.table` (the schema of the pipeline file checks it): the first dot divides. */
  constructor(text: string) {
    this.text = text;
    this.isGlob = /[*?]/.test(text);
    this.#exact = splitTableName(text);
    this.#schema = expression(this.#exact.schema);
    this.#table = expression(this.#exact.table);
  }

  /** Null for a glob. */
  get exact(): TableName | null {
    return this.isGlob ? null : this.#exact;
  }

  matches(name: TableName): boolean {
    return this.#schema.test(name.schema) && this.#table.test(name.table);
  }
}

/** The first dot divides: a table's name may have more of them, a schema's may not. */
export function splitTableName(text: string): TableName {
  const dot = text.indexOf(".");
  return { schema: text.slice(0, dot), table: text.slice(dot + 1) };
}

function expression(part: string): RegExp {
  const escaped = part.replaceAll(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`, "su");
}
