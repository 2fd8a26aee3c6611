import { Secret } from "@datatrace/core";
import { testSchemaRegistry } from "@datatrace/testkit";
import type { TestSchemaRegistry } from "@datatrace/testkit";
import { describeSchemaRegistry } from "@datatrace/testkit/suites";
import { afterAll, beforeAll } from "vitest";
import { RemoteSchemaRegistry } from "./remote-schema-registry.ts";

let server: TestSchemaRegistry;

beforeAll(async () => {
  server = await testSchemaRegistry();
}, 120_000);

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

// One server for all cases: they keep apart by the names of their subjects.
describeSchemaRegistry("over HTTP", () =>
  Promise.resolve({
    open: () => Promise.resolve(new RemoteSchemaRegistry({ url: new Secret(server.url) })),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }),
);
