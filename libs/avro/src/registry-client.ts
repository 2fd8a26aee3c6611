import { createRequire } from "node:module";
import type Client from "@kafkajs/confluent-schema-registry/dist/api/index.js";
import type { SchemaRegistryAPIClientArgs } from "@kafkajs/confluent-schema-registry/dist/api/index.js";
import type { RegistryConnection } from "./registry-connection.ts";
import { exchange } from "./registry-exchange.ts";
import type { ExchangeLimits, RegistryAnswer } from "./registry-exchange.ts";

/**
 * The part of the client that speaks the protocol. Its main entry would also load parsers of three schema languages,
 * and turns every schema into an object of its own, while the port is about their text. By `require`, because loaders
 * of ES modules do not agree on what the default export of such a module is.
 */
const { default: openClient } = createRequire(import.meta.url)(
  "@kafkajs/confluent-schema-registry/dist/api/index.js",
) as typeof Client;

type Middleware = NonNullable<SchemaRegistryAPIClientArgs["middlewares"]>[number];

/** The requests of the protocol that are needed here. Each answers, or fails as `exchange` does. */
export interface RegistryClient {
  find(id: number, signal: AbortSignal | undefined): Promise<RegistryAnswer>;
  register(subject: string, schema: string, signal: AbortSignal | undefined): Promise<RegistryAnswer>;
  /** Sets what is asked of new versions of one subject. */
  setCompatibility(subject: string, compatibility: "NONE", signal: AbortSignal | undefined): Promise<RegistryAnswer>;
}

/**
 * The client's requests over our own exchange. Its own transport waits for ever when a connection breaks in the middle
 * of an answer, limits neither the size of an answer nor the time of all of it, and takes a redirect for success.
 */
export function openRegistryClient(connection: RegistryConnection, limits: ExchangeLimits): RegistryClient {
  const transport: Middleware = () => ({
    response: (_next, _renew, request) => {
      const headers = Object.entries(request.headers()).map(([name, value]) => [name, String(value)] as const);
      const body = request.body();
      const answer = exchange(
        {
          method: request.method().toUpperCase(),
          url: request.url(),
          headers: Object.fromEntries(headers),
          body: typeof body === "string" ? body : undefined,
        },
        connection,
        limits,
        request.signal(),
      );
      return answer as Promise<never>;
    },
  });
  const api = openClient({ host: connection.base, clientId: "datatrace", middlewares: [transport] });
  return {
    find: (id, signal) => answerOf(api.Schema.find({ id, signal })),
    register: (subject, schema, signal) => answerOf(api.Subject.register({ subject, signal, body: { schema } })),
    setCompatibility: (subject, compatibility, signal) =>
      answerOf(api.Subject.updateConfig({ subject, signal, body: { compatibility } })),
  };
}

/** The outermost middleware, which is ours, decides what a request answers; nothing reads it before us. */
function answerOf(response: Promise<unknown>): Promise<RegistryAnswer> {
  return response as Promise<RegistryAnswer>;
}
