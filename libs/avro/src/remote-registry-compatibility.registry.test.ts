import { DataTraceError, Secret } from "@datatrace/core";
import { RecordingLogger, startSchemaRegistry } from "@datatrace/testkit";
import type { SchemaRegistryServer } from "@datatrace/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { answerWith } from "./answering-server.ts";
import { RemoteSchemaRegistry } from "./remote-schema-registry.ts";
import type { RemoteRegistryOptions } from "./remote-schema-registry.ts";

let server: SchemaRegistryServer;

beforeAll(async () => {
  server = await startSchemaRegistry({ compatibility: "BACKWARD" });
}, 120_000);

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

function open(options: Partial<RemoteRegistryOptions> = {}): RemoteSchemaRegistry {
  return new RemoteSchemaRegistry({ url: new Secret(server.url), ...options });
}

/** A table's record; BACKWARD refuses another type of its column, and another column without a default. */
function record(column: string, type: string): string {
  return JSON.stringify({ type: "record", name: "orders", fields: [{ name: column, type }] });
}

const first = record("amount", "long");
const second = record("amount", "string");

/** What the registry asks of new versions of a subject: the level for all where it has none of its own. */
async function level(subject: string): Promise<unknown> {
  const answer = await fetch(`${server.url}/config/${subject}?defaultToGlobal=true`);
  return ((await answer.json()) as Readonly<Record<string, unknown>>)["compatibilityLevel"];
}

async function failed(promise: Promise<unknown>): Promise<DataTraceError> {
  const error: unknown = await promise.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DataTraceError);
  return error as DataTraceError;
}

test("evolve: what BACKWARD refuses is registered, its subject alone is set to NONE, and that is said once", async () => {
  const logger = new RecordingLogger();
  await using registry = open({ logger });
  const id = await registry.register("evolve-value", first);
  await registry.register("evolve-other-value", first);
  expect(await level("evolve-value")).toBe("BACKWARD");
  const next = await registry.register("evolve-value", second);
  expect(next).not.toBe(id);
  expect(await registry.register("evolve-value", record("amount", "boolean"))).not.toBe(next);
  expect([await level("evolve-value"), await level("evolve-other-value")]).toEqual(["NONE", "BACKWARD"]);
  expect(logger.lines).toEqual([
    {
      level: "info",
      event: "registry.compatibility_set",
      fields: { subject: "evolve-value", compatibility: "NONE" },
    },
  ]);
  await using other = open();
  expect(JSON.parse(await other.byId(id))).toEqual(JSON.parse(first));
  expect(JSON.parse(await other.byId(next))).toEqual(JSON.parse(second));
  // A version of before is found, not registered again.
  expect(await other.register("evolve-value", first)).toBe(id);
});

test("evolve: a compatible change leaves the subject as it is", async () => {
  await using registry = open();
  await registry.register("compatible-value", first);
  const wider = JSON.stringify({
    type: "record",
    name: "orders",
    fields: [
      { name: "amount", type: "long" },
      { name: "note", type: ["null", "string"], default: null },
    ],
  });
  await registry.register("compatible-value", wider);
  expect(await level("compatible-value")).toBe("BACKWARD");
});

test("refuse: an incompatible change is an error for a person, and nothing was changed", async () => {
  await using registry = open({ onIncompatible: "refuse" });
  const id = await registry.register("refuse-value", first);
  const { code, retry, detail } = await failed(registry.register("refuse-value", second));
  expect([code, retry]).toEqual(["registry.incompatible", "operator"]);
  expect(detail).toMatchObject({ subject: "refuse-value", httpStatus: 409 });
  expect(await level("refuse-value")).toBe("BACKWARD");
  expect(await registry.register("refuse-value", first)).toBe(id);
});

/** In front of the registry: forwards everything but changes of settings, which it answers itself. */
async function lockedSettings(status: number) {
  return await answerWith((response, request) => {
    if (request.method === "PUT") {
      response.writeHead(status, { "content-type": "application/json" }).end("{}");
      return;
    }
    response.writeHead(409).end(JSON.stringify({ error_code: 409, message: "incompatible" }));
  });
}

test("evolve: where the settings may not be changed it is an error for a person, and it says why", async () => {
  await using locked = await lockedSettings(403);
  await using registry = open({ url: new Secret(locked.url) });
  const error = await failed(registry.register("locked-value", second));
  expect(error.code).toBe("registry.incompatible");
  expect(error.cause).toMatchObject({ code: "registry.grant_missing" });
  expect(locked.requests).toEqual(["POST /subjects/locked-value/versions", "PUT /config/locked-value"]);
});

test("evolve: a registry that fails while its settings are changed is tried again", async () => {
  await using broken = await lockedSettings(503);
  await using registry = open({ url: new Secret(broken.url), attempts: 2 });
  const error = await failed(registry.register("broken-value", second));
  expect([error.code, error.retry]).toEqual(["registry.transient", "timed"]);
});

test("evolve: a registry that still refuses is an error for a person, not a loop", async () => {
  await using stubborn = await lockedSettings(200);
  await using registry = open({ url: new Secret(stubborn.url) });
  expect((await failed(registry.register("stubborn-value", second))).code).toBe("registry.incompatible");
  expect(stubborn.requests).toHaveLength(3);
});

test("what is no schema is refused", async () => {
  await using registry = open();
  const { code, retry } = await failed(registry.register("nonsense-value", '{"type":"nonsense"}'));
  expect([code, retry]).toEqual(["registry.schema_rejected", "operator"]);
});
