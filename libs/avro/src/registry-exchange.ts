import { once } from "node:events";
import { request as plainRequest } from "node:http";
import type { ClientRequest, IncomingMessage } from "node:http";
import { request as secureRequest } from "node:https";
import { DataTraceError } from "@datatrace/core";
import type { RegistryConnection } from "./registry-connection.ts";
import { registryUnreached } from "./registry-failure.ts";

export interface RegistryRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** What the registry, or whatever stands in its place, answered. */
export interface RegistryAnswer {
  readonly status: number;
  /** Parsed, where it is a JSON object; null for everything else. */
  readonly body: Readonly<Record<string, unknown>> | null;
  /** `text/html`, without parameters; null when none is given or it is malformed. */
  readonly mediaType: string | null;
  /** Host of the redirect's target, for messages; null when there is none. */
  readonly redirectHost: string | null;
}

export interface ExchangeLimits {
  /** From before the connection is made until the last byte of the answer. */
  readonly timeoutMs: number;
  readonly answerBytes: number;
}

/**
 * One request and its whole answer, whatever its status; redirects are not followed: they would carry the login to
 * another place.
 * @throws DataTraceError `registry.connection_lost`, `registry.transient` after the time limit, `registry.login_failed`
 * for TLS, `registry.answer_invalid` for what is not HTTP or too large; the signal's reason.
 */
export async function exchange(
  request: RegistryRequest,
  connection: RegistryConnection,
  limits: ExchangeLimits,
  signal: AbortSignal | undefined,
): Promise<RegistryAnswer> {
  signal?.throwIfAborted();
  const stop = new AbortController();
  const abort = (): void => {
    stop.abort();
  };
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    abort();
  }, limits.timeoutMs);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    const answer = await receive(send(request, connection, stop.signal), stop.signal);
    return await read(answer, connection, limits.answerBytes);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof DataTraceError) throw error;
    if (!late) throw registryUnreached(error, connection.place);
    const detail = { registry: connection.place, timeoutMs: limits.timeoutMs };
    throw new DataTraceError("registry.transient", { detail });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
    // Ends what is still open: an answer that was not read to its end.
    abort();
  }
}

function send(
  { method, url, headers, body }: RegistryRequest,
  { agent, authorization }: RegistryConnection,
  signal: AbortSignal,
): ClientRequest {
  const request = (url.startsWith("https:") ? secureRequest : plainRequest)(url, {
    method,
    agent,
    signal,
    headers: {
      ...headers,
      accept: "application/vnd.schemaregistry.v1+json, application/json",
      ...(authorization === null ? {} : { authorization: authorization.reveal() }),
      ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }),
    },
  });
  request.end(body);
  return request;
}

async function receive(request: ClientRequest, signal: AbortSignal): Promise<IncomingMessage> {
  // Beyond the first, errors say nothing new: the answer's reader sees that it breaks off.
  request.on("error", () => undefined);
  const [answer] = (await once(request, "response", { signal })) as [IncomingMessage];
  return answer;
}

async function read(
  answer: IncomingMessage,
  { place }: RegistryConnection,
  answerBytes: number,
): Promise<RegistryAnswer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > answerBytes) {
      const message = "The schema registry's answer is larger than a schema can be.";
      throw new DataTraceError("registry.answer_invalid", { message, detail: { registry: place, answerBytes } });
    }
    chunks.push(chunk);
  }
  return {
    status: answer.statusCode ?? 0,
    body: jsonObject(Buffer.concat(chunks).toString("utf8")),
    mediaType: /^[\w.+-]+\/[\w.+-]+/.exec(answer.headers["content-type"] ?? "")?.[0] ?? null,
    redirectHost: hostOf(answer.headers.location, place),
  };
}

function jsonObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

/** A redirect's path and query may hold a session: only its host is named (I8). */
function hostOf(location: string | undefined, place: string): string | null {
  if (location === undefined) return null;
  const base = `http://${place}`;
  return URL.canParse(location, base) ? new URL(location, base).host : null;
}
