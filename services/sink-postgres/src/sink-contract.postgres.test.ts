import { availablePostgres, testPostgres } from "@datatrace/testkit";
import { describeSink } from "@datatrace/testkit/suites";
import { afterAll, beforeAll, describe } from "vitest";
import type { TestPostgres } from "@datatrace/testkit";
import { PostgresBed, openSink } from "./postgres-bed.ts";

for (const major of await availablePostgres()) {
  describe(`PostgreSQL ${major}`, () => {
    let server: TestPostgres;
    beforeAll(async () => {
      server = await testPostgres(major);
    }, 120_000);
    afterAll(async () => {
      await server[Symbol.asyncDispose]();
    });

    describeSink("sink-postgres", {
      module: new URL("postgres-bed.ts", import.meta.url).href,
      openSink,
      makeBed: async () => PostgresBed.open(await server.createDatabase()),
    });
  });
}
