import { once } from "node:events";
import { request as forward } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { ServerOptions } from "node:https";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { DataTraceError, Secret } from "@datatrace/core";
import { localCertificate, startSchemaRegistry } from "@datatrace/testkit";
import type { SchemaRegistryServer } from "@datatrace/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RegistryLogin } from "./registry-connection.ts";
import { RemoteSchemaRegistry } from "./remote-schema-registry.ts";
import type { RemoteRegistryOptions } from "./remote-schema-registry.ts";

const planted = "pl4nted-s3cret";
const trusting = { ca: localCertificate.certificate };
const schema = '{"type":"record","name":"r","fields":[]}';
let plain: SchemaRegistryServer;
let secure: SchemaRegistryServer;

beforeAll(async () => {
  [plain, secure] = await Promise.all([startSchemaRegistry(), startSchemaRegistry({ tls: localCertificate })]);
}, 120_000);

afterAll(async () => {
  await Promise.all([plain[Symbol.asyncDispose](), secure[Symbol.asyncDispose]()]);
});

function open(url: string, options: Partial<RemoteRegistryOptions> = {}): RemoteSchemaRegistry {
  return new RemoteSchemaRegistry({ url: new Secret(url), attempts: 2, ...options });
}

/** The error of a call; nothing of it says the planted secret (I8). */
async function failed(promise: Promise<unknown>): Promise<DataTraceError> {
  const error: unknown = await promise.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DataTraceError);
  expect(inspect(error, { depth: 20, showHidden: true })).not.toContain(planted);
  return error as DataTraceError;
}

function bearer(token: string): RegistryLogin {
  return { kind: "bearer", token: new Secret(token) };
}

/** What stands before a registry in a company: TLS, and a login of its own. Requests that pass go to the registry. */
async function guarded(
  login: (request: IncomingMessage) => number,
  options: ServerOptions = {},
): Promise<AsyncDisposable & { readonly url: string }> {
  const front = createServer({ cert: localCertificate.certificate, key: localCertificate.key, ...options });
  front.on("request", (request: IncomingMessage, response: ServerResponse) => {
    const status = login(request);
    if (status !== 200) {
      request.resume();
      response.writeHead(status, { "content-type": "text/html" }).end(`<p>${planted}</p>`);
      return;
    }
    const { method, headers } = request;
    const onward = forward(`http://127.0.0.1:${plain.port}${request.url}`, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
  });
  front.on("tlsClientError", () => undefined);
  front.listen(0, "127.0.0.1");
  await once(front, "listening");
  return {
    url: `https://127.0.0.1:${(front.address() as AddressInfo).port}${new URL(plain.url).pathname}`,
    [Symbol.asyncDispose]: async () => {
      front.closeAllConnections();
      front.close();
      await once(front, "close");
    },
  };
}

test("the registry's certificate must be trusted, and be for its name", async () => {
  await using trusted = open(secure.url, { tls: trusting });
  const id = await trusted.register("tls-value", schema);
  await using named = open(secure.url.replace("127.0.0.1", "localhost"), { tls: trusting });
  expect(await named.byId(id)).toBe(schema);
  await using unknown = open(secure.url);
  const untrusted = await failed(unknown.byId(id));
  expect(untrusted).toMatchObject({ code: "registry.login_failed", detail: { code: "DEPTH_ZERO_SELF_SIGNED_CERT" } });
  expect(untrusted.retry).toBe("operator");
  await using other = open(secure.url, { tls: { ...trusting, serverName: "registry.example" } });
  const misnamed = await failed(other.byId(id));
  expect(misnamed).toMatchObject({ code: "registry.login_failed", detail: { code: "ERR_TLS_CERT_ALTNAME_INVALID" } });
});

test("TLS where the registry has none is said to be a matter of TLS", async () => {
  await using registry = open(plain.url.replace("http:", "https:"));
  expect((await failed(registry.byId(1))).code).toBe("registry.login_failed");
});

test("no TLS where the registry has it is an error that does not wait without end", async () => {
  await using registry = open(secure.url.replace("https:", "http:"));
  expect(["registry.connection_lost", "registry.answer_invalid"]).toContain((await failed(registry.byId(1))).code);
});

test("I8: a login that is refused is an error for a person, and is not repeated in it", async () => {
  const good = `Basic ${Buffer.from(`user:${planted}`).toString("base64")}`;
  await using front = await guarded(({ headers }) => (headers.authorization === good ? 200 : 401));
  await using right = open(front.url, {
    tls: trusting,
    login: { kind: "basic", user: "user", password: new Secret(planted) },
  });
  const id = await right.register("login-value", schema);
  await using inUrl = open(front.url.replace("//", `//user:${planted}@`), { tls: trusting });
  expect(await inUrl.byId(id)).toBe(schema);
  await using wrong = open(front.url.replace("//", `//user:${planted}x@`), { tls: trusting });
  const refused = await failed(wrong.byId(id));
  expect([refused.code, refused.retry]).toEqual(["registry.login_failed", "operator"]);
  await using none = open(front.url, { tls: trusting });
  expect((await failed(none.register("login-value", schema))).code).toBe("registry.login_failed");
});

test("a token goes with every request; who may read only is told so when he registers", async () => {
  await using front = await guarded(({ headers, method }) => {
    if (headers.authorization === `Bearer ${planted}`) return 200;
    return headers.authorization === `Bearer ${planted}-reader` ? (method === "GET" ? 200 : 403) : 401;
  });
  await using writer = open(front.url, { tls: trusting, login: bearer(planted) });
  const id = await writer.register("token-value", schema);
  await using reader = open(front.url, { tls: trusting, login: bearer(`${planted}-reader`) });
  expect(await reader.byId(id)).toBe(schema);
  const refused = await failed(reader.register("token-value", schema));
  expect(refused).toMatchObject({
    code: "registry.grant_missing",
    detail: { subject: "token-value", httpStatus: 403 },
  });
  await using stranger = open(front.url, { tls: trusting, login: bearer("other") });
  expect((await failed(stranger.byId(id))).code).toBe("registry.login_failed");
});

test("a certificate of ours is shown where the registry wants one", async () => {
  const wanted = { requestCert: true, rejectUnauthorized: true, ca: localCertificate.certificate };
  await using front = await guarded(() => 200, wanted);
  const { certificate, key } = localCertificate;
  await using shown = open(front.url, { tls: { ...trusting, certificate, key: new Secret(key) } });
  expect(await shown.register("mutual-value", schema)).toBeGreaterThan(0);
  await using hidden = open(front.url, { tls: trusting });
  const refused = await failed(hidden.byId(1));
  expect(refused).toMatchObject({ code: "registry.login_failed" });
});
