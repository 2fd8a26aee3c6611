import { setTimeout as delay } from "node:timers/promises";
import { DataTraceError } from "@datatrace/core";
import type { Logger, SchemaRegistry } from "@datatrace/core";
import { openRegistryClient } from "./registry-client.ts";
import type { RegistryClient } from "./registry-client.ts";
import { openRegistryConnection } from "./registry-connection.ts";
import type { RegistryAddress, RegistryConnection } from "./registry-connection.ts";
import type { RegistryAnswer } from "./registry-exchange.ts";
import { registryRefusal } from "./registry-failure.ts";
import type { RegistryQuestion } from "./registry-failure.ts";

export interface RemoteRegistryOptions extends RegistryAddress {
  /**
   * What to do when the registry refuses a new version of a table as incompatible. `evolve`: set the compatibility of
   * that one subject to NONE and register it, since every record is read with the schema it was written with.
   * `refuse`: fail with `registry.incompatible`. `evolve` when left out.
   */
  readonly onIncompatible?: "evolve" | "refuse";
  /** For one attempt, its answer included; 5 s when left out. */
  readonly timeoutMs?: number;
  /** How often a request is tried in one call before it fails; 3 when left out. Who called may try again later. */
  readonly attempts?: number;
  /** Told when a subject's compatibility was changed. */
  readonly logger?: Logger;
}

/** Far above any schema; a registry that answers more is none. */
const answerBytes = 8 * 1024 * 1024;
const firstWaitMs = 200;
const maxWaitMs = 2_000;
const largestId = 2 ** 31 - 1;

/**
 * Schemas in a Confluent-compatible registry (Confluent, Karapace, Apicurio) over HTTP. What an id means never changes,
 * so what was once asked or registered is known until this object goes, also while the registry is away (I7).
 *
 * A call ends in bounded time: `attempts` times `timeoutMs`, and at most two seconds between two of them. It fails
 * with `registry.connection_lost`, `registry.transient` or `registry.answer_invalid` (tried again by who called), or
 * with `registry.login_failed`, `registry.grant_missing`, `registry.incompatible`, `registry.schema_rejected`,
 * `registry.schema_unknown` or `log.schema_unsupported` (a person must act).
 */
export class RemoteSchemaRegistry implements SchemaRegistry, AsyncDisposable {
  readonly #options: RemoteRegistryOptions;
  readonly #connection: RegistryConnection;
  readonly #client: RegistryClient;
  readonly #ids = new Map<string, number>();
  readonly #texts = new Map<number, string>();

  /** Connects at the first call. @throws DataTraceError `config.invalid` when the url is not one. */
  constructor(options: RemoteRegistryOptions) {
    this.#options = options;
    this.#connection = openRegistryConnection(options);
    this.#client = openRegistryClient(this.#connection, { timeoutMs: options.timeoutMs ?? 5_000, answerBytes });
  }

  async register(subject: string, schema: string, signal?: AbortSignal): Promise<number> {
    const text = withoutSpace(schema);
    const name = JSON.stringify([subject, text]);
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const id = await this.#register(subject, text, signal);
    this.#ids.set(name, id);
    if (!this.#texts.has(id)) this.#texts.set(id, text);
    return id;
  }

  async byId(id: number, signal?: AbortSignal): Promise<string> {
    const known = this.#texts.get(id);
    if (known !== undefined) return known;
    const question = { kind: "find", id } as const;
    const answer = await this.#ask(question, () => this.#client.find(id, signal), signal);
    const text = this.#schemaOf(answer, question);
    this.#texts.set(id, text);
    return text;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#connection.agent.destroy();
    return Promise.resolve();
  }

  async #register(subject: string, schema: string, signal: AbortSignal | undefined): Promise<number> {
    const question = { kind: "register", subject } as const;
    const send = (): Promise<RegistryAnswer> => this.#client.register(subject, schema, signal);
    try {
      return this.#idOf(await this.#ask(question, send, signal), question);
    } catch (error) {
      if (!isCode(error, "registry.incompatible") || this.#options.onIncompatible === "refuse") throw error;
      await this.#allowEverything(subject, error, signal);
      return this.#idOf(await this.#ask(question, send, signal), question);
    }
  }

  /** The subject is ours alone: nobody else publishes under its topic. */
  async #allowEverything(subject: string, refused: DataTraceError, signal: AbortSignal | undefined): Promise<void> {
    const question = { kind: "register", subject } as const;
    try {
      await this.#ask(question, () => this.#client.setCompatibility(subject, "NONE", signal), signal);
    } catch (error) {
      if (!(error instanceof DataTraceError) || error.retry === "timed") throw error;
      // Not allowed, or the subject's settings are locked: then a person must set it.
      throw new DataTraceError("registry.incompatible", { cause: error, detail: refused.detail });
    }
    this.#options.logger?.info("registry.compatibility_set", { subject, compatibility: "NONE" });
  }

  /**
   * Asks again, within bounds, what may pass by itself. An unknown id is one of these: a replica of the registry may
   * learn of a schema a moment after its record was written.
   */
  async #ask(
    question: RegistryQuestion,
    send: () => Promise<RegistryAnswer>,
    signal: AbortSignal | undefined,
  ): Promise<RegistryAnswer> {
    const attempts = this.#options.attempts ?? 3;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const answer = await send();
        if (answer.status === 200 && answer.body !== null) return answer;
        throw registryRefusal(answer, question, this.#connection.place);
      } catch (error) {
        signal?.throwIfAborted();
        if (attempt >= attempts || !mayPass(error)) throw error;
      }
      await pause(attempt, signal);
    }
  }

  #idOf({ body, ...answer }: RegistryAnswer, question: RegistryQuestion): number {
    const id = body?.["id"];
    if (typeof id === "number" && Number.isInteger(id) && id > 0 && id <= largestId) return id;
    throw registryRefusal({ ...answer, body: null }, question, this.#connection.place);
  }

  #schemaOf({ body, ...answer }: RegistryAnswer, question: { readonly kind: "find"; readonly id: number }): string {
    const text = body?.["schema"];
    if (typeof text !== "string" || text === "") {
      throw registryRefusal({ ...answer, body: null }, question, this.#connection.place);
    }
    const language = body?.["schemaType"] ?? "AVRO";
    if (language !== "AVRO") {
      const message = "A topic was written with a schema that is not Avro.";
      throw new DataTraceError("log.schema_unsupported", { message, detail: { id: question.id } });
    }
    const references = body?.["references"] ?? [];
    if (Array.isArray(references) && references.length > 0) {
      const message = "A topic was written with a schema that refers to other schemas of its registry.";
      throw new DataTraceError("log.schema_unsupported", { message, detail: { id: question.id } });
    }
    return text;
  }
}

const repeated: ReadonlySet<string> = new Set([
  "registry.connection_lost",
  "registry.transient",
  "registry.schema_unknown",
]);

function mayPass(error: unknown): boolean {
  return error instanceof DataTraceError && repeated.has(error.code);
}

function isCode(error: unknown, code: string): error is DataTraceError {
  return error instanceof DataTraceError && error.code === code;
}

/**
 * Some registries take the same JSON with other spaces for another schema. Not by parsing it: a default beyond 2^53
 * would come out as another number.
 */
function withoutSpace(schema: string): string {
  return schema.replace(/("(?:[^"\\]|\\.)*")|[ \t\r\n]+/g, "$1");
}

/** Doubles from wait to wait, with jitter of a quarter each way. */
async function pause(attempt: number, signal: AbortSignal | undefined): Promise<void> {
  const fullMs = Math.min(firstWaitMs * 2 ** (attempt - 1), maxWaitMs);
  try {
    await delay(fullMs * (0.75 + Math.random() / 2), undefined, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
