import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { DataTraceError, Secret } from "@datatrace/core";
import type { ErrorCode } from "@datatrace/core";
import { waitFor } from "@datatrace/testkit";
import { expect, test } from "vitest";
import { answerAlways, answerWith } from "./answering-server.ts";
import { RemoteSchemaRegistry } from "./remote-schema-registry.ts";
import type { RemoteRegistryOptions } from "./remote-schema-registry.ts";

const planted = "pl4nted-s3cret";

function open(url: string, options: Partial<RemoteRegistryOptions> = {}): RemoteSchemaRegistry {
  return new RemoteSchemaRegistry({ url: new Secret(url), attempts: 1, timeoutMs: 5_000, ...options });
}

function withLogin(url: string, end = ""): string {
  return url.replace("//", `//user:${planted}${end}@`);
}

/** Expects a rejection with this code that says nothing secret (I8), and returns it. */
async function expectFailure(promise: Promise<unknown>, code: ErrorCode): Promise<DataTraceError> {
  const error: unknown = await promise.then(
    () => new Error("it did not fail"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DataTraceError);
  const failed = error as DataTraceError;
  expect(failed.code).toBe(code);
  expect(inspect(failed, { depth: 20, showHidden: true })).not.toContain(planted);
  return failed;
}

function refuse(errorCode: number): string {
  return JSON.stringify({ error_code: errorCode, message: planted });
}

const html = { "content-type": "text/html; charset=utf-8" };
const page = `<html>please log in, ${planted}</html>`;

test.each([
  { name: "a page", status: 200, body: page, headers: html, code: "registry.answer_invalid" },
  { name: "a page that says it is JSON", status: 200, body: page, headers: {}, code: "registry.answer_invalid" },
  { name: "a page, not found", status: 404, body: page, headers: html, code: "registry.answer_invalid" },
  { name: "a page, bad gateway", status: 502, body: page, headers: html, code: "registry.transient" },
  { name: "a page, too many requests", status: 429, body: page, headers: html, code: "registry.transient" },
  { name: "a page, not allowed", status: 403, body: page, headers: html, code: "registry.grant_missing" },
  { name: "a page, log in", status: 401, body: page, headers: html, code: "registry.login_failed" },
  { name: "a page, proxy log in", status: 407, body: page, headers: html, code: "registry.answer_invalid" },
  { name: "nothing", status: 204, body: "", headers: {}, code: "registry.answer_invalid" },
  { name: "a list", status: 200, body: '["id"]', headers: {}, code: "registry.answer_invalid" },
  { name: "half of JSON", status: 200, body: '{"id": 1, "schema": "', headers: {}, code: "registry.answer_invalid" },
  { name: "JSON of another service", status: 200, body: '{"ok": true}', headers: {}, code: "registry.answer_invalid" },
  { name: "its 404", status: 404, body: '{"error": "no route"}', headers: {}, code: "registry.answer_invalid" },
] as const)(
  "$name is a clear error of both calls, never a schema or an id",
  async ({ status, body, headers, code }) => {
    await using server = await answerAlways(status, body, headers);
    await using registry = open(server.url);
    const registering = await expectFailure(registry.register("orders-value", '"long"'), code);
    expect(registering.detail).toMatchObject({ subject: "orders-value", registry: `127.0.0.1:${server.port}` });
    expect(registering.detail).toMatchObject({ httpStatus: status });
    const reading = await expectFailure(registry.byId(7), code);
    expect(reading.detail).toMatchObject({ id: 7, httpStatus: status });
    expect(server.requests).toEqual(["POST /subjects/orders-value/versions", "GET /schemas/ids/7"]);
  },
);

test("what kind of page it was is named", async () => {
  await using server = await answerAlways(200, page, html);
  await using registry = open(server.url);
  const { message, fix } = await expectFailure(registry.byId(1), "registry.answer_invalid");
  expect(message).toContain("mediaType=text/html");
  expect(fix).toContain("/apis/ccompat/v7");
});

test.each(["1", -1, 0, 1.5, 2 ** 31, null])("%j is no id", async (id) => {
  await using server = await answerAlways(200, JSON.stringify({ id, schema: id }));
  await using registry = open(server.url);
  const { detail } = await expectFailure(registry.register("s", '"long"'), "registry.answer_invalid");
  expect(detail).toMatchObject({ httpStatus: 200 });
});

test("I8: a redirect is not followed, the login goes nowhere else, and only its host is named", async () => {
  await using elsewhere = await answerAlways(200, '{"id": 1, "schema": "{}"}');
  await using server = await answerWith((response) => {
    response.writeHead(302, { location: `${elsewhere.url}/login?session=${planted}` }).end();
  });
  await using registry = open(withLogin(server.url));
  for (const asked of [registry.byId(1), registry.register("s", '"long"')]) {
    const { detail } = await expectFailure(asked, "registry.answer_invalid");
    expect(detail).toMatchObject({ httpStatus: 302, redirectsTo: `127.0.0.1:${elsewhere.port}` });
  }
  expect(elsewhere.requests).toEqual([]);
});

test("an answer without end is given up at its limit, before the time limit", async () => {
  const part = "x".repeat(1 << 20);
  let parts = 0;
  await using server = await answerWith((response) => {
    const more = (): void => {
      if (parts++ < 100 && !response.destroyed) response.write(part, more);
    };
    response.writeHead(200, { "content-type": "application/json" });
    more();
  });
  await using registry = open(server.url, { timeoutMs: 20_000 });
  const { message } = await expectFailure(registry.byId(1), "registry.answer_invalid");
  expect(message).toContain("larger than a schema can be");
  expect(parts).toBeLessThan(50);
});

test("I7: an answer that comes in drops is given up at the time limit", async () => {
  const drops: NodeJS.Timeout[] = [];
  await using server = await answerWith((response) => {
    response.writeHead(200, { "content-type": "application/json" });
    drops.push(setInterval(() => response.write(" "), 20));
  });
  await using registry = open(server.url, { timeoutMs: 300 });
  const { detail, retry } = await expectFailure(registry.byId(1), "registry.transient");
  expect(detail).toMatchObject({ timeoutMs: 300 });
  expect(retry).toBe("timed");
  for (const drop of drops) clearInterval(drop);
});

test("I7: an answer that breaks off is a lost connection, not a wait without end", async () => {
  await using server = await answerWith((response) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
    response.write('{"schema": "', () => response.destroy());
  });
  await using registry = open(server.url, { timeoutMs: 10_000 });
  const { detail } = await expectFailure(registry.byId(1), "registry.connection_lost");
  expect(detail).toMatchObject({ code: "ECONNRESET" });
});

test("what does not speak HTTP is named so", async () => {
  const server = createServer((socket) => socket.end(`SSH-2.0-${planted}\r\n`));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  await using registry = open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const { detail } = await expectFailure(registry.byId(1), "registry.answer_invalid");
  expect(detail).toMatchObject({ code: "HPE_INVALID_CONSTANT" });
  server.close();
});

test.each([
  { name: "refused", url: "http://127.0.0.1:1", code: "ECONNREFUSED" },
  { name: "unknown", url: "http://registry.example", code: "ENOTFOUND" },
])("a host that is $name is a lost connection, without the login in the message", async ({ url, code }) => {
  await using registry = open(withLogin(url));
  const error = await expectFailure(registry.byId(1), "registry.connection_lost");
  expect(error.retry).toBe("timed");
  // A machine without a network may say that it cannot ask now.
  expect([code, "EAI_AGAIN"]).toContain(error.detail["code"]);
});

test("an error of the registry is named by its number, without its text", async () => {
  await using unknown = await answerAlways(404, refuse(40403));
  await using one = open(unknown.url);
  expect((await expectFailure(one.byId(9), "registry.schema_unknown")).detail).toMatchObject({
    id: 9,
    errorCode: 40403,
  });
  await using readOnly = await answerAlways(422, refuse(42205));
  await using two = open(readOnly.url);
  const { detail } = await expectFailure(two.register("s", '"long"'), "registry.schema_rejected");
  expect(detail).toMatchObject({ subject: "s", errorCode: 42205 });
  await using broken = await answerAlways(500, refuse(50002));
  await using three = open(broken.url);
  await expectFailure(three.byId(9), "registry.transient");
});

test("I8: an incompatible schema is explained by Avro's word for it, not by the schemas", async () => {
  const message = `incompatible; details: [{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'${planted}'}]`;
  await using server = await answerAlways(409, JSON.stringify({ error_code: 409, message }));
  await using registry = open(server.url, { onIncompatible: "refuse" });
  const { detail, retry } = await expectFailure(registry.register("s", '"long"'), "registry.incompatible");
  expect(detail).toEqual({
    subject: "s",
    registry: `127.0.0.1:${server.port}`,
    httpStatus: 409,
    reason: "READER_FIELD_MISSING_DEFAULT_VALUE",
  });
  expect(retry).toBe("operator");
});

test.each([
  { name: "that is not Avro", more: { schemaType: "PROTOBUF" } },
  { name: "with references", more: { references: [{ name: "n", subject: "s", version: 1 }] } },
])("a schema $name cannot be read", async ({ more }) => {
  await using server = await answerAlways(200, JSON.stringify({ schema: '"long"', ...more }));
  await using registry = open(server.url);
  expect((await expectFailure(registry.byId(3), "log.schema_unsupported")).detail).toEqual({ id: 3 });
});

test("an id that a replica learns of a moment later is found in the same call", async () => {
  let asked = 0;
  await using server = await answerWith((response) => {
    asked += 1;
    if (asked < 3) response.writeHead(404).end('{"error_code": 40403}');
    else response.writeHead(200).end(JSON.stringify({ schema: '"long"' }));
  });
  await using registry = open(server.url, { attempts: 3 });
  expect(await registry.byId(5)).toBe('"long"');
  expect(await registry.byId(5)).toBe('"long"');
  expect(asked).toBe(3);
});

test("what passes is tried as often as allowed, what does not pass only once", async () => {
  await using overloaded = await answerAlways(503, "");
  await using one = open(overloaded.url, { attempts: 3 });
  await expectFailure(one.register("s", '"long"'), "registry.transient");
  expect(overloaded.requests).toHaveLength(3);
  await using closed = await answerAlways(401, "");
  await using two = open(closed.url, { attempts: 3 });
  await expectFailure(two.register("s", '"long"'), "registry.login_failed");
  expect(closed.requests).toHaveLength(1);
});

test("stops at once when the signal aborts in the middle of a request", async () => {
  await using silent = await answerWith(() => undefined);
  await using registry = open(silent.url, { timeoutMs: 60_000 });
  const stop = new AbortController();
  const reason = new Error("enough");
  const asked = [registry.byId(1, stop.signal), registry.register("s", '"long"', stop.signal)];
  await waitFor(() => silent.requests.length === 2, { deadlineMs: 10_000, what: "both requests to arrive" });
  stop.abort(reason);
  expect(await Promise.allSettled(asked)).toEqual([
    { status: "rejected", reason },
    { status: "rejected", reason },
  ]);
});

test("stops at once when the signal aborts between two attempts", async () => {
  const stop = new AbortController();
  const reason = new Error("enough");
  let abortedMs = Infinity;
  await using overloaded = await answerWith((response) => {
    response.writeHead(503).end(() => {
      if (overloaded.requests.length < 3) return;
      // By then the answer has been read, and the wait has begun.
      setTimeout(() => {
        abortedMs = performance.now();
        stop.abort(reason);
      }, 100);
    });
  });
  await using registry = open(overloaded.url, { attempts: 1_000 });
  await expect(registry.byId(1, stop.signal)).rejects.toBe(reason);
  // After the third attempt it would wait for 600 ms at least.
  expect(performance.now() - abortedMs).toBeLessThan(400);
});

test("a subject's name is escaped, the schema sent without spaces and otherwise to the letter", async () => {
  const bodies: string[] = [];
  await using server = await answerWith((response, request) => {
    bodies.push(request.headers["content-type"] ?? "");
    response.writeHead(200).end('{"id": 4}');
  });
  await using registry = open(`${server.url}/apis/ccompat/v7/`);
  const schema = '{ "type": "long",\n "default": 9223372036854775807, "doc": "a \\" b\\t { c" }';
  expect(await registry.register("a/b ü?", schema)).toBe(4);
  expect(server.requests).toEqual(["POST /apis/ccompat/v7/subjects/a%2Fb%20%C3%BC%3F/versions"]);
  expect(bodies).toEqual(["application/vnd.schemaregistry.v1+json"]);
  // Known from its registration, and for every spacing.
  expect(await registry.byId(4)).toBe('{"type":"long","default":9223372036854775807,"doc":"a \\" b\\t { c"}');
  expect(await registry.register("a/b ü?", schema.replaceAll(" ", "\n").replaceAll("a\n", "a "))).toBe(4);
});

test.each([
  { login: undefined, user: "us%C3%A9r:pa%3Ass@", header: "Basic dXPDqXI6cGE6c3M=" },
  { login: { kind: "basic", user: "u", password: new Secret("p") }, user: "", header: "Basic dTpw" },
  { login: { kind: "bearer", token: new Secret("t.k") }, user: "x:y@", header: "Bearer t.k" },
  { login: undefined, user: "", header: undefined },
] as const)("sends $header", async ({ login, user, header }) => {
  const seen: (string | undefined)[] = [];
  await using server = await answerWith((response, request) => {
    seen.push(request.headers.authorization);
    response.writeHead(200).end('{"schema": "{}"}');
  });
  await using registry = open(server.url.replace("//", `//${user}`), login === undefined ? {} : { login });
  await registry.byId(1);
  expect(seen).toEqual([header]);
});

test.each([
  { name: "no url", url: planted },
  { name: "another scheme", url: withLogin("ftp://registry.example") },
  { name: "a query", url: `http://registry.example/?token=${planted}` },
  { name: "a stray %", url: withLogin("http://registry.example", "%zz") },
  { name: "TLS settings without TLS", url: withLogin("http://registry.example"), tls: { serverName: "x" } },
])("I8: $name is refused, and not repeated", async ({ url, tls }) => {
  const opened = async (): Promise<void> => {
    await using _registry = open(url, tls === undefined ? {} : { tls });
  };
  expect((await expectFailure(opened(), "config.invalid")).message).toContain("schema registry's url");
});
