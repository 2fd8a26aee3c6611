import { DataTraceError, Secret } from "@datatrace/core";
import type { ErrorCode } from "@datatrace/core";
import { startSchemaRegistry, TcpProxy } from "@datatrace/testkit";
import type { SchemaRegistryServer } from "@datatrace/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { schemaText } from "./registered-schemas.ts";
import { RemoteSchemaRegistry } from "./remote-schema-registry.ts";
import type { RemoteRegistryOptions } from "./remote-schema-registry.ts";

let server: SchemaRegistryServer;

beforeAll(async () => {
  server = await startSchemaRegistry();
}, 120_000);

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** A client whose calls fail soon unless a test says otherwise. */
function open(options: Partial<RemoteRegistryOptions> = {}, url = server.url): RemoteSchemaRegistry {
  return new RemoteSchemaRegistry({ url: new Secret(url), timeoutMs: 1_000, attempts: 2, ...options });
}

/** Attempts that outlast a start of the server. */
const patient = { timeoutMs: 1_000, attempts: 60 };

async function expectCode(promise: Promise<unknown>, code: ErrorCode): Promise<void> {
  const error: unknown = await promise.then(
    () => new Error("it did not fail"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DataTraceError);
  expect(error).toMatchObject({ code });
}

/** Like `expectCode`, for what is tried again by itself. */
async function expectPassing(promise: Promise<unknown>, code: ErrorCode): Promise<void> {
  await expectCode(promise, code);
  await expect(promise).rejects.toMatchObject({ retry: "timed" });
}

let made = 0;

/** A schema that the registry has not seen. */
function schema(): string {
  return JSON.stringify({ type: "record", name: `r${++made}`, fields: [{ name: "id", type: "long" }] });
}

test("I7: what is known is answered without the registry, what is not is a passing error until it is back", async () => {
  const [one, two] = [schema(), schema()];
  await using writer = open();
  const id = await writer.register("known-value", one);
  const unseen = await writer.register("unseen-value", two);
  await using reader = open();
  expect(await reader.byId(id)).toBe(one);
  await server.kill();
  expect(await writer.register("known-value", one)).toBe(id);
  expect(await writer.byId(id)).toBe(one);
  expect(await reader.byId(id)).toBe(one);
  await expectPassing(reader.byId(unseen), "registry.connection_lost");
  await expectPassing(writer.register("new-value", schema()), "registry.connection_lost");
  // Who starts while it is down knows nothing yet.
  await using starting = open();
  await expectPassing(starting.register("known-value", one), "registry.connection_lost");
  await server.start();
  expect(await reader.byId(unseen)).toBe(two);
  expect(await starting.register("known-value", one)).toBe(id);
});

test("I7: a call waits for a registry that is starting", async () => {
  const text = schema();
  await server.kill();
  await using registry = open(patient);
  const registering = registry.register("starting-value", text);
  await server.start();
  await using other = open();
  expect(await registering).toBe(await other.register("starting-value", text));
});

test("I7: connections that a restart has closed are replaced within the call", async () => {
  await using registry = open({ attempts: 2 });
  await registry.register("restarted-value", schema());
  await server.restart();
  expect(await registry.register("restarted-other-value", schema())).toBeGreaterThan(0);
});

test("I7: a frozen registry is a passing error after the time limit, and a call that waits is answered when it wakes", async () => {
  await using registry = open({ timeoutMs: 300, attempts: 2 });
  const id = await registry.register("frozen-value", schema());
  await server.freeze();
  try {
    const begun = performance.now();
    await expectPassing(registry.register("frozen-other-value", schema()), "registry.transient");
    // Two attempts of 300 ms and 250 ms at most between them.
    expect(performance.now() - begun).toBeLessThan(2_000);
    await using fresh = open({ timeoutMs: 300, attempts: 2 });
    await expectPassing(fresh.byId(id), "registry.transient");
    expect(await registry.byId(id)).toContain("record");
    await using waiting = open(patient);
    const asked = waiting.byId(id);
    const reason = new Error("enough");
    const stop = new AbortController();
    const given = waiting.byId(id, stop.signal);
    stop.abort(reason);
    await expect(given).rejects.toBe(reason);
    await server.thaw();
    expect(await asked).toContain("record");
  } finally {
    await server.thaw();
  }
});

test("a registration whose answer was lost is made again and has the same id", async () => {
  await using proxy = await TcpProxy.start(server.port);
  await using registry = open({ attempts: 3 }, proxy.through(server.url));
  const text = schema();
  const lost = proxy.cutOn({ direction: "to-server", match: "POST ", cut: "answer" });
  const id = await registry.register("lost-value", text);
  await lost.fired;
  await using other = open();
  expect(await other.register("lost-value", text)).toBe(id);
  expect(await other.byId(id)).toBe(text);
});

test.each([1, 60, 200, 400])(
  "I7: a connection that breaks %i bytes into the answer is made again",
  async (sizeBytes) => {
    await using proxy = await TcpProxy.start(server.port);
    await using registry = open({ timeoutMs: 20_000, attempts: 2 }, proxy.through(server.url));
    const text = JSON.stringify({ type: "record", name: `r${++made}`, doc: "x".repeat(2_000), fields: [] });
    await using other = open();
    const id = await other.register("broken-value", text);
    const cut = proxy.cutAfter("to-client", sizeBytes);
    const begun = performance.now();
    expect(await registry.byId(id)).toBe(text);
    // Not by waiting for the time limit.
    expect(performance.now() - begun).toBeLessThan(5_000);
    await cut.fired;
  },
);

test("I7: a network that loses everything, is slow, or refuses is waited for", async () => {
  await using proxy = await TcpProxy.start(server.port);
  await using registry = open({}, proxy.through(server.url));
  await using waiting = open(patient, proxy.through(server.url));
  const text = schema();
  proxy.blackhole();
  await expectPassing(registry.register("lossy-value", text), "registry.transient");
  const waited = waiting.register("lossy-value", text);
  proxy.restore();
  const id = await waited;
  proxy.cut();
  proxy.delay(400);
  // 400 ms there and 400 ms back: within the limit of an attempt.
  expect(await registry.byId(id)).toBe(text);
  proxy.delay(5_000);
  await expectPassing(registry.register("slow-value", schema()), "registry.transient");
  proxy.delay(0);
  proxy.cut();
  await proxy.refuse();
  await expectPassing(registry.register("refused-value", schema()), "registry.connection_lost");
  await proxy.accept();
  expect(await registry.register("lossy-value", text)).toBe(id);
});

test("I7: readers of one unseen id share the wait, and all get it when the registry is back", async () => {
  await using writer = open();
  const text = schema();
  const id = await writer.register("shared-value", text);
  await using reader = open(patient);
  await server.kill();
  const leaving = new AbortController();
  const left = schemaText(reader, id, leaving.signal);
  const waiting = [schemaText(reader, id), schemaText(reader, id)];
  leaving.abort(new Error("partition revoked"));
  await expect(left).rejects.toThrow("partition revoked");
  await server.start();
  expect(await Promise.all(waiting)).toEqual([text, text]);
});
