/** A registry for tests that only need ids. Nothing here is used at run time. */
import { DataTraceError, type SchemaRegistry } from "@datatrace/core";

export class MemoryRegistry implements SchemaRegistry {
  readonly #texts: string[] = [];
  /** Calls so far, for tests of caching. */
  calls = 0;

  register(_subject: string, schema: string): Promise<number> {
    this.calls += 1;
    const known = this.#texts.indexOf(schema);
    return Promise.resolve(known < 0 ? this.#texts.push(schema) : known + 1);
  }

  byId(id: number): Promise<string> {
    this.calls += 1;
    const text = this.#texts[id - 1];
    if (text === undefined) return Promise.reject(new DataTraceError("registry.schema_unknown", { detail: { id } }));
    return Promise.resolve(text);
  }
}
