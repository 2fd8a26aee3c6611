import { testPostgres } from "@datatrace/testkit";
import { expect, test } from "vitest";
import { expectLogContents } from "./log-contents.ts";
import { PipelineBed } from "./pipeline-bed.ts";

test("topics and tail show what is in the embedded log", async () => {
  expect.hasAssertions();
  await using server = await testPostgres(18);
  await using bed = await PipelineBed.open({ name: "contents" }, server);
  await expectLogContents(bed, "contents", false);
});
