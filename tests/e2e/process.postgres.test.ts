import { TcpProxy, testPostgres, waitFor } from "@datatrace/testkit";
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

test("SIGTERM ends a run within 10 s also while neither source nor target answers; nothing is lost", async () => {
  await using bed = await bedWithTable("silent");
  await using source = await TcpProxy.start(Number(new URL(bed.sourceUrl).port));
  await using target = await TcpProxy.start(Number(new URL(bed.targetUrl).port));
  const direct = [bed.sourceUrl, bed.targetUrl] as const;
  bed.set("SOURCE_URL", source.through(direct[0]));
  bed.set("TARGET_URL", target.through(direct[1]));
  const run = bed.start("run");
  await bed.equal("SELECT * FROM orders ORDER BY id");
  target.blackhole();
  await bed.source.query("UPDATE orders SET note = 'on its way' WHERE id <= 50");
  await waitFor(async () => (await metric(await run.adminUrl(), "datatrace_lag_rows")) > 0, {
    deadlineMs: 10_000,
    what: "changes to wait for the target",
  });
  source.blackhole();
  run.signal("SIGTERM");
  await run.exits(0, 10_000);
  bed.set("SOURCE_URL", direct[0]);
  bed.set("TARGET_URL", direct[1]);
  const again = bed.start("run", "--until-caught-up");
  await again.exits(0);
  expect(await bed.equal("SELECT * FROM orders ORDER BY id", 100)).toContain("on its way");
});

test("a second signal ends a run that is stopping", async () => {
  await using bed = await bedWithTable("second_signal");
  await using target = await TcpProxy.start(Number(new URL(bed.targetUrl).port));
  bed.set("TARGET_URL", target.through(bed.targetUrl));
  const run = bed.start("run");
  await bed.equal("SELECT * FROM orders ORDER BY id");
  target.blackhole();
  await bed.source.query("UPDATE orders SET note = 'on its way' WHERE id <= 50");
  await waitFor(async () => (await metric(await run.adminUrl(), "datatrace_lag_rows")) > 0, {
    deadlineMs: 10_000,
    what: "changes to wait for the target",
  });
  run.signal("SIGTERM");
  await run.line("log", { event: "stopping" });
  const askedMs = performance.now();
  run.signal("SIGINT");
  await run.exits(130, 2_000);
  expect(performance.now() - askedMs).toBeLessThan(2_000);
});

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split("\n").find((one) => one.startsWith(`${name}{direction="delivery"`));
  return Number(line?.split(" ").at(-1));
}
