import { testPostgres, waitFor } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PipelineBed } from "./pipeline-bed.ts";

let server: TestPostgres;

beforeAll(async () => {
  server = await testPostgres(18);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function bedWithTable(name: string): Promise<PipelineBed> {
  const bed = await PipelineBed.open({ name }, server);
  await bed.source.query("CREATE TABLE orders (id int PRIMARY KEY, note text)");
  await bed.source.query("INSERT INTO orders SELECT g, 'note ' || g FROM generate_series(1, 100) g");
  return bed;
}

async function ready(url: string): Promise<void> {
  await waitFor(async () => (await fetch(`${url}/health/ready`)).ok, {
    deadlineMs: 20_000,
    what: "the run to be ready",
  });
}

async function levelOf(url: string): Promise<string> {
  const answer = (await (await fetch(`${url}/log-level`)).json()) as { readonly level: string };
  return answer.level;
}

test("the log level changes while it runs, by HTTP and by SIGUSR2", async () => {
  await using bed = await bedWithTable("log_level");
  const run = bed.start("run", "--only", "capture", "--log-level", "error");
  const url = await run.adminUrl();
  expect(run.log).toEqual([]);
  const put = await fetch(`${url}/log-level`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ level: "info" }),
  });
  expect(put.status).toBe(200);
  run.signal("SIGUSR2");
  await waitFor(async () => (await levelOf(url)) === "debug", { deadlineMs: 5_000, what: "the level to be debug" });
  await run.line("log", { event: "log level changed", to: "debug" });
  run.signal("SIGUSR2");
  await waitFor(async () => (await levelOf(url)) === "error", { deadlineMs: 5_000, what: "the level to be error" });
  const lines = run.log.length;
  run.signal("SIGTERM");
  await run.exits(0, 10_000);
  expect(run.log).toHaveLength(lines);
});

test("SIGTERM ends a run with 0, SIGINT with 130, within 10 s", async () => {
  await using bed = await bedWithTable("signals");
  for (const [signal, code] of [
    ["SIGTERM", 0],
    ["SIGINT", 130],
  ] as const) {
    const run = bed.start("run", "--only", "capture");
    await ready(await run.adminUrl());
    run.signal(signal);
    await run.exits(code, 10_000);
    expect(run.log).toContainEqual(expect.objectContaining({ event: "stopping", signal }));
  }
});
