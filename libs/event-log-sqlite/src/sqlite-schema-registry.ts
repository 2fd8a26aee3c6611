import type { SchemaRegistry } from "@datatrace/core";

import type { LogThread } from "./log-thread.ts";

/** The schema registry in the log's file. A schema never changes under its id, so answers are kept. */
export class SqliteSchemaRegistry implements SchemaRegistry {
  readonly #thread: LogThread;
  readonly #ids = new Map<string, number>();
  readonly #texts = new Map<number, string>();

  constructor(thread: LogThread) {
    this.#thread = thread;
  }

  async register(subject: string, schema: string, signal?: AbortSignal): Promise<number> {
    const name = JSON.stringify([subject, schema]);
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const id = await this.#thread.request("registerSchema", { subject, schema }, signal);
    this.#ids.set(name, id);
    return id;
  }

  async byId(id: number, signal?: AbortSignal): Promise<string> {
    const known = this.#texts.get(id);
    if (known !== undefined) return known;
    const text = await this.#thread.request("schemaById", { id }, signal);
    this.#texts.set(id, text);
    return text;
  }
}
