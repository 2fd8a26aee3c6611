import { availablePostgres, testPostgres } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import { describeCaptureSource } from "@datatrace/testkit/suites";
import { afterAll, beforeAll, describe } from "vitest";
import { PostgresBed } from "./postgres-bed.ts";

describe.each(await availablePostgres())("version %i", (major) => {
  let server: TestPostgres;

  beforeAll(async () => {
    server = await testPostgres(major);
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  describeCaptureSource(`PostgreSQL ${major}`, { makeBed: async () => await PostgresBed.make(server) });
});
