import { registryOrigin, startSchemaRegistry } from "./registry-server.ts";

/** A registry to register schemas in; perhaps somebody's own, so it is never stopped under him. */
export interface TestSchemaRegistry extends AsyncDisposable {
  readonly url: string;
}

function givenUrl(): string | undefined {
  const url = process.env["SCHEMA_REGISTRY_URL"];
  return url === "" ? undefined : url;
}

/**
 * The registry for tests that only register and read: at `SCHEMA_REGISTRY_URL` where it is set, else a throwaway one.
 * Tests that stop or kill their server call `startSchemaRegistry`. Subjects stay: each test takes names of its own.
 */
export async function testSchemaRegistry(signal?: AbortSignal): Promise<TestSchemaRegistry> {
  const url = givenUrl();
  if (url === undefined) return startSchemaRegistry({}, signal);
  return { url, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** True when tests can have a registry here. */
export async function schemaRegistryFound(): Promise<boolean> {
  return givenUrl() !== undefined || (await registryOrigin()) !== undefined;
}
